import { BadRecord } from '../problems.js'

/** A piece of a file that should be one record: its bytes, or why there are none. */
export interface Piece {
  /** 1-based line, or 1-based number in a list. */
  line: number
  content: Uint8Array | BadRecord
}

/** Cuts a file that arrives in chunks into records. */
export interface Splitter {
  push(chunk: Uint8Array): Piece[]
  end(): Piece[]
}

/** No record needs more; a file without line breaks must not fill the memory. */
export const maxRecordBytes = 64 * 2 ** 20

/** Bytes of a record that began in earlier chunks. */
export class Carry {
  private parts: Uint8Array[] = []
  private length = 0
  tooLarge = false

  add(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.tooLarge) return
    this.length += bytes.length
    if (this.length > maxRecordBytes) {
      this.tooLarge = true
      this.parts = []
    } else this.parts.push(bytes)
  }

  /** What has come together with `last`, and nothing is left. */
  take(line: number, last: Uint8Array): Piece {
    this.add(last)
    const { parts, length, tooLarge } = this
    this.parts = []
    this.length = 0
    this.tooLarge = false
    if (tooLarge)
      return { line, content: new BadRecord('size', `expected at most ${maxRecordBytes >> 20} MiB a record, got more`) }
    return { line, content: parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, length) }
  }
}

const newline = 0x0a

/** JSONL: one record a line; lines of white space are passed over. */
export class LineSplitter implements Splitter {
  private line = 1
  private readonly carry = new Carry()

  push(chunk: Uint8Array): Piece[] {
    const pieces: Piece[] = []
    let from = 0
    for (;;) {
      const end = chunk.indexOf(newline, from)
      if (end < 0) break
      this.finish(chunk.subarray(from, end), pieces)
      this.line++
      from = end + 1
    }
    this.carry.add(chunk.subarray(from))
    return pieces
  }

  end(): Piece[] {
    const pieces: Piece[] = []
    this.finish(new Uint8Array(0), pieces)
    return pieces
  }

  private finish(last: Uint8Array, pieces: Piece[]): void {
    const piece = this.carry.take(this.line, last)
    if (!isBlank(piece.content)) pieces.push(piece)
  }
}

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === newline

export function isBlank(bytes: Uint8Array | BadRecord): boolean {
  if (bytes instanceof BadRecord) return false
  for (const byte of bytes) if (!isSpace(byte)) return false
  return true
}
