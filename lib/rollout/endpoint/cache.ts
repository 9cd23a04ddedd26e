import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { fail } from '../../errors.js'
import type { ChatAnswer } from './types.js'

/** Where an answer's line lies in the file. */
interface Place {
  offset: number
  length: number
}

const newline = 0x0a
const chunkBytes = 1 << 20
/** A longer line is no answer of ours. */
const longestLine = 64 << 20

/**
 * Answers on disk, one JSON line each: `{"key": …, "answer": …}`, appended as they come and never changed. A process that is killed in
 * the middle of a line leaves a piece of one; the next puts a line break behind it and passes it over, so at most the answer that was
 * being written is asked for again. Memory holds keys and places, not answers.
 */
export class AnswerCache {
  readonly #file: string
  readonly #fd: number
  readonly #places = new Map<string, Place>()
  /** Lines that are no answers: pieces left by a process that was killed. */
  readonly unreadable: number

  /** @throws Error `ERR_IO` where the file cannot be read or made */
  constructor(file: string) {
    this.#file = file
    try {
      mkdirSync(dirname(file), { recursive: true })
      this.#fd = openSync(file, 'a+', 0o600)
      const { whole, unreadable } = readLines(this.#fd, (key, place) => this.#places.set(key, place))
      this.unreadable = unreadable
      if (!whole) this.#append('\n')
    } catch (error) {
      fail('Error', 'ERR_IO', `[endpoint] cannot keep answers in ${file}: ${(error as Error).message}`, error)
    }
  }

  get size(): number {
    return this.#places.size
  }

  /** The answer stored under a key, or null. */
  get(key: string): ChatAnswer | null {
    const place = this.#places.get(key)
    if (!place) return null
    const bytes = Buffer.alloc(place.length)
    let filled = 0
    while (filled < bytes.length) {
      const count = readSync(this.#fd, bytes, filled, bytes.length - filled, place.offset + filled)
      if (count === 0) return null
      filled += count
    }
    const record = recordOf(bytes)
    return record?.key === key ? record.answer : null
  }

  /** @throws Error `ERR_IO`, as when the disk is full */
  put(key: string, answer: ChatAnswer): void {
    const offset = fstatSync(this.#fd).size
    const length = this.#append(`${JSON.stringify({ key, answer })}\n`) - 1
    this.#places.set(key, { offset, length })
  }

  close(): void {
    fsyncSync(this.#fd)
    closeSync(this.#fd)
  }

  /** One write per line: another process that appends to the same file does not come between. */
  #append(text: string): number {
    const bytes = Buffer.from(text)
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
    } catch (error) {
      fail('Error', 'ERR_IO', `[endpoint] cannot write ${this.#file}: ${(error as Error).message}`, error)
    }
    return bytes.length
  }
}

/** Reads a file's lines in pieces; the last one counts also without a line break. */
function readLines(fd: number, found: (key: string, place: Place) => void) {
  let [pending, offset, at, unreadable] = [Buffer.alloc(0), 0, 0, 0]
  const take = (line: Buffer) => {
    const key = line.length > 0 ? recordOf(line)?.key : null
    if (key) found(key, { offset, length: line.length })
    else if (key === undefined) unreadable++
  }
  for (;;) {
    const chunk = Buffer.alloc(chunkBytes)
    const count = readSync(fd, chunk, 0, chunkBytes, at)
    if (count === 0) break
    at += count
    pending = pending.length > 0 ? Buffer.concat([pending, chunk.subarray(0, count)]) : chunk.subarray(0, count)
    for (let end = pending.indexOf(newline); end >= 0; end = pending.indexOf(newline)) {
      take(pending.subarray(0, end))
      offset += end + 1
      pending = pending.subarray(end + 1)
    }
    if (pending.length > longestLine) throw new Error(`a line of more than ${longestLine} bytes at byte ${offset}`)
  }
  take(pending)
  return { whole: pending.length === 0, unreadable }
}

/** A line as it was written here; anything else is undefined. */
function recordOf(line: Buffer): { key: string; answer: ChatAnswer } | undefined {
  try {
    const record = JSON.parse(line.toString('utf8')) as { key?: unknown; answer?: Partial<ChatAnswer> } | null
    const answer = record?.answer
    const good =
      typeof record?.key === 'string' &&
      typeof answer?.content === 'string' &&
      typeof answer.reasoning === 'string' &&
      Array.isArray(answer.toolCalls) &&
      (answer.finishReason === 'stop' || answer.finishReason === 'length' || answer.finishReason === 'filtered')
    return good ? (record as { key: string; answer: ChatAnswer }) : undefined
  } catch {
    return undefined
  }
}
