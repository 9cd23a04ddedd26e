import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { fail } from '../../errors.js'
import { type JsonValue, parseJson } from '../../text/json.js'
import { BadRecord } from '../problems.js'
import { LineSplitter, type Piece, type Splitter } from './lines.js'
import { ListSplitter } from './list.js'
import { readParquet } from './parquet.js'
import { type FileKind, sniff, sniffLength } from './sniff.js'

/** A record that has not been parsed yet. */
export interface RawRecord {
  /** 1-based line of a JSONL file; 1-based number in a JSON list or a parquet file; 0 for the file as a whole. */
  line: number
  /** Parses it; throws a {@link BadRecord} where it cannot be. */
  read: () => JsonValue
}

export interface Batch {
  records: RawRecord[]
  /** Bytes of the file that have been read so far. */
  bytes: number
}

export interface Source {
  path: string
  /** Bytes of the file. */
  size: number
  /** Its records, some at a time. A record has to be read before the next batch is asked for. */
  batches: () => AsyncIterable<Batch>
}

const chunkBytes = 2 ** 20

/**
 * Opens a data set's file: JSONL, a JSON list or parquet, told by its content. A file that is something else, or a folder, is a source whose
 * only record cannot be read. Throws `ERR_IO` where it cannot be opened at all.
 */
export async function openSource(path: string): Promise<Source> {
  const cannot = (error: unknown): never =>
    fail('Error', 'ERR_IO', `[data] expected a readable file at ${path}: ${(error as Error).message}`, error)
  const { size, start } = await readStart(path).catch(cannot)
  const found =
    start === null ? { problem: 'expected a file, got a folder; name the files that are in it' } : sniff(start)
  if ('problem' in found) {
    const problem = new BadRecord('file', found.problem)
    const read = (): never => {
      throw problem
    }
    return { path, size, batches: () => once({ records: [{ line: 0, read }], bytes: size }) }
  }
  if (found.kind === 'parquet') return { path, size, batches: () => readParquet(path, size) }
  const splitter = found.kind === 'list' ? new ListSplitter() : new LineSplitter()
  return { path, size, batches: () => readText(path, splitter) }
}

/** The first bytes of a file; null of a folder. */
async function readStart(path: string): Promise<{ size: number; start: Uint8Array | null }> {
  if ((await stat(path)).isDirectory()) return { size: 0, start: null }
  const handle = await open(path)
  try {
    const { size } = await handle.stat()
    const start = new Uint8Array(Math.min(size, sniffLength))
    await handle.read(start, 0, start.length, 0)
    return { size, start }
  } finally {
    await handle.close()
  }
}

async function* once(batch: Batch): AsyncGenerator<Batch> {
  yield batch
}

async function* readText(path: string, splitter: Splitter): AsyncGenerator<Batch> {
  let bytes = 0
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
    const piece = chunk as Buffer
    bytes += piece.length
    yield { records: splitter.push(piece).map(rawRecord), bytes }
  }
  yield { records: splitter.end().map(rawRecord), bytes }
}

/** The records of a text file at hand. */
export function recordsOf(bytes: Uint8Array, kind: Exclude<FileKind, 'parquet'>): RawRecord[] {
  const splitter = kind === 'list' ? new ListSplitter() : new LineSplitter()
  return [...splitter.push(bytes), ...splitter.end()].map(rawRecord)
}

function rawRecord({ line, content }: Piece): RawRecord {
  return { line, read: () => parse(content) }
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function parse(content: Uint8Array | BadRecord): JsonValue {
  if (content instanceof BadRecord) throw content
  let text: string
  try {
    text = decoder.decode(content)
  } catch {
    throw new BadRecord('encoding', 'expected UTF-8 text, got other bytes')
  }
  try {
    return parseJson(text)
  } catch (error) {
    throw new BadRecord('json', (error as Error).message)
  }
}
