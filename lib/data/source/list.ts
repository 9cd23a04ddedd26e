import { BadRecord } from '../problems.js'
import { Carry, isBlank, type Piece, type Splitter } from './lines.js'

enum Byte {
  Quote = 0x22,
  Comma = 0x2c,
  OpenBracket = 0x5b,
  Backslash = 0x5c,
  CloseBracket = 0x5d,
  OpenBrace = 0x7b,
  CloseBrace = 0x7d,
}

const nothing = new Uint8Array(0)

/**
 * A JSON list of records, cut at the commas between them without keeping the whole: brackets are counted, those in strings do not count.
 * What a piece holds is the parser's business, so that one broken record spoils no other unless its brackets or quotes do not balance.
 */
export class ListSplitter implements Splitter {
  private readonly carry = new Carry()
  private state: 'before' | 'inside' | 'after' = 'before'
  private depth = 0
  private quoted = false
  private escaped = false
  private record = 1
  private reportedTail = false

  push(chunk: Uint8Array): Piece[] {
    const pieces: Piece[] = []
    let from = 0
    let at = 0
    if (this.state === 'before') {
      at = chunk.indexOf(Byte.OpenBracket) + 1
      if (at === 0) return pieces
      from = at
      this.state = 'inside'
    }
    for (; at < chunk.length && this.state === 'inside'; at++) {
      const byte = chunk[at] as number
      if (this.quoted) {
        if (this.escaped) this.escaped = false
        else if (byte === Byte.Backslash) this.escaped = true
        else if (byte === Byte.Quote) this.quoted = false
      } else if (byte === Byte.Quote) this.quoted = true
      else if (byte === Byte.OpenBrace || byte === Byte.OpenBracket) this.depth++
      else if (byte === Byte.CloseBrace) this.depth--
      else if (byte === Byte.CloseBracket && this.depth > 0) this.depth--
      else if (byte === Byte.CloseBracket) {
        this.finish(chunk.subarray(from, at), pieces, true)
        this.state = 'after'
        from = at + 1
      } else if (byte === Byte.Comma && this.depth <= 0) {
        this.finish(chunk.subarray(from, at), pieces, false)
        from = at + 1
      }
    }
    if (this.state === 'after') this.tail(chunk.subarray(from), pieces)
    else this.carry.add(chunk.subarray(from))
    return pieces
  }

  end(): Piece[] {
    if (this.state === 'after') return []
    const pieces: Piece[] = []
    this.finish(nothing, pieces, true)
    const problem = new BadRecord('json', 'expected "," or "]" after a record of the list, got the end of the file')
    pieces.push({ line: this.record, content: problem })
    return pieces
  }

  private finish(last: Uint8Array, pieces: Piece[], isLast: boolean): void {
    const piece = this.carry.take(this.record, last)
    this.depth = 0
    // Nothing before the closing bracket: an empty list, or a comma too many, which harms nobody.
    if (isLast && isBlank(piece.content)) return
    pieces.push(piece)
    this.record++
  }

  private tail(bytes: Uint8Array, pieces: Piece[]): void {
    if (this.reportedTail || isBlank(bytes)) return
    this.reportedTail = true
    const problem = new BadRecord('json', 'expected the end of the file after the list, got more')
    pieces.push({ line: this.record, content: problem })
  }
}
