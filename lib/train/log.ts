import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fail } from '../errors.js'

/**
 * An append-only file of JSON lines. A line is handed to the operating system as it is written, so a killed process loses none; what
 * lies behind a checkpoint is cut off when a run resumes from it, so no step appears twice.
 */
export class JsonLines {
  private readonly file: number

  /**
   * Opens the file, cut back to its first `bytes` bytes (`size` at the checkpoint); 0 starts it anew.
   *
   * @throws Error (ERR_IO) where the file is shorter than that: it is not the file of this run
   */
  constructor(
    readonly path: string,
    bytes: number,
  ) {
    this.file = open(path, bytes)
  }

  /** Appends records, one line each, in one write. */
  append(...records: object[]): void {
    if (records.length === 0) return
    const bytes = Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.file, bytes, done)
    } catch (error) {
      fail('Error', 'ERR_IO', `[log] cannot write ${this.path}: ${(error as Error).message}`, error)
    }
  }

  /** Bytes written so far; what a checkpoint notes. Flushes to the disk, so that a checkpoint never knows of lost lines. */
  size(): number {
    fsyncSync(this.file)
    return fstatSync(this.file).size
  }

  close(): void {
    closeSync(this.file)
  }
}

function open(path: string, bytes: number): number {
  try {
    mkdirSync(dirname(path), { recursive: true })
    const length = existsSync(path) ? statSync(path).size : 0
    if (length < bytes) {
      fail('Error', 'ERR_IO', `[log] expected ${path} to have ${bytes} bytes as at the checkpoint, got ${length}`)
    }
    if (length > bytes) truncateSync(path, bytes)
    return openSync(path, 'a')
  } catch (error) {
    if (error instanceof Error && (error as { code?: string }).code === 'ERR_IO') throw error
    return fail('Error', 'ERR_IO', `[log] cannot write ${path}: ${(error as Error).message}`, error)
  }
}
