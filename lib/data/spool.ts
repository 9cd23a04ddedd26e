import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'

const bufferBytes = 2 ** 20

/** Lines into a file that appears under its name when it is whole; until then it is `NAME.partial`. */
export class LineWriter {
  private readonly temporary: string
  private readonly handle: number
  private pending: string[] = []
  private pendingLength = 0
  private open = true
  lines = 0

  constructor(readonly path: string) {
    this.temporary = `${path}.partial`
    this.handle = openSync(this.temporary, 'w')
  }

  /** One line, or several with line breaks between. */
  write(line: string): void {
    this.lines += 1 + (line.match(/\n/g)?.length ?? 0)
    this.pending.push(line, '\n')
    this.pendingLength += line.length + 1
    if (this.pendingLength >= bufferBytes) this.flush()
  }

  private flush(): void {
    writeAll(this.handle, Buffer.from(this.pending.join('')))
    this.pending = []
    this.pendingLength = 0
  }

  finish(): void {
    this.flush()
    this.close()
    renameSync(this.temporary, this.path)
  }

  /** Leaves nothing behind of what is not finished. */
  discard(): void {
    this.close()
    rmSync(this.temporary, { force: true })
  }

  private close(): void {
    if (this.open) closeSync(this.handle)
    this.open = false
  }
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at)
}

/**
 * A file of blocks of text that can be read again in any order, for what has to be counted before it can be chosen from. Memory: eight bytes
 * a block. The file has no name once it is open, so that it goes away with the process, however that ends.
 */
export class Spool {
  private readonly handle: number
  private ends = new Float64Array(1024)
  private pending: Buffer[] = []
  private pendingLength = 0
  private size = 0
  length = 0

  constructor(path: string) {
    this.handle = openSync(path, 'w+')
    rmSync(path)
  }

  add(text: string): void {
    const bytes = Buffer.from(text)
    this.pending.push(bytes)
    this.pendingLength += bytes.length
    this.size += bytes.length
    if (this.length === this.ends.length) {
      const larger = new Float64Array(2 * this.length)
      larger.set(this.ends)
      this.ends = larger
    }
    this.ends[this.length++] = this.size
    if (this.pendingLength >= bufferBytes) this.flush()
  }

  private flush(): void {
    if (this.pendingLength > 0) writeAll(this.handle, Buffer.concat(this.pending))
    this.pending = []
    this.pendingLength = 0
  }

  read(index: number): string {
    this.flush()
    const start = index === 0 ? 0 : (this.ends[index - 1] as number)
    const bytes = Buffer.allocUnsafe((this.ends[index] as number) - start)
    for (let at = 0; at < bytes.length; ) {
      const got = readSync(this.handle, bytes, at, bytes.length - at, start + at)
      if (got === 0) throw new Error(`[data] expected ${bytes.length - at} more bytes of record ${index}, got none`)
      at += got
    }
    return bytes.toString()
  }

  close(): void {
    closeSync(this.handle)
  }
}
