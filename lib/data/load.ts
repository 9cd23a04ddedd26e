import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { codedError, fail } from '../errors.js'
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../text/json.js'
import type { Example } from './example.js'
import { Random } from './random.js'
import { kind, type PromptStyle, type RecordReader, readMessages, readXlam } from './records.js'
import { readToolAce } from './toolace.js'

export type DataFormat = 'xlam' | 'messages' | 'toolace'

export interface DatasetOptions {
  /** Default: told from the keys of the first record that can be read. */
  format?: DataFormat
  /** Default `tool-n1`. */
  prompt?: PromptStyle
  /** The first bad record is an error. Default false: bad records are listed in the report and left out. */
  strict?: boolean
  /** Shuffles the examples; absent: the file's order. */
  seed?: number
  /** Keeps the examples from one fraction to another of the (shuffled) order: [0, 0.5] and [0.5, 1] are two halves. */
  part?: readonly [number, number]
  /** Keeps at most so many, after `part`. */
  limit?: number
}

export interface Problem {
  file: string
  /** 1-based line of a JSONL file; of a JSON file, the 1-based number of the record. */
  line: number
  reason: string
}

export interface DatasetReport {
  /** Records in the file, good or bad. */
  records: number
  /** Examples that the good ones gave, before `part` and `limit`. */
  examples: number
  problems: Problem[]
}

export interface Dataset {
  examples: Example[]
  report: DatasetReport
}

/**
 * Reads a data set: JSONL (one record a line; blank lines, CRLF and a byte-order mark are fine) or JSON (a list of records).
 *
 * Bad records never stop a load unless `strict` is set or nothing is left: then `ERR_DATA`, naming file, line and reason. An unreadable
 * file is `ERR_IO`; options that make no sense are `ERR_CONFIG`.
 */
export async function loadDataset(
  source: string | ({ path: string } & DatasetOptions),
  options: DatasetOptions = {},
): Promise<Dataset> {
  const { path, ...own } = typeof source === 'string' ? { path: source } : source
  const settings = { ...own, ...options }
  checkOptions(settings)
  const bytes = await readFile(path).catch((error: unknown) =>
    fail('Error', 'ERR_IO', `[data] expected a readable file at ${path}: ${(error as Error).message}`, error),
  )
  const dataset = readDataset(basename(path), bytes, settings)
  return { ...dataset, examples: select(dataset.examples, settings) }
}

/** {@link loadDataset} on bytes at hand, without `part`, `seed` and `limit`. */
export function readDataset(file: string, bytes: Uint8Array, options: DatasetOptions = {}): Dataset {
  const problems: Problem[] = []
  const report = (line: number, reason: string) => {
    if (options.strict) throw codedError('Error', 'ERR_DATA', `[data] ${file}:${line}: ${reason}`)
    problems.push({ file, line, reason })
  }
  const records = isJsonList(bytes) ? readList(file, bytes) : readLines(bytes)
  const examples: Example[] = []
  const ids = new Map<string, number>()
  let reader: RecordReader | null = options.format ? readers[options.format] : null
  let count = 0
  for (const { line, read } of records) {
    count++
    try {
      const record = asObject(read())
      reader ??= detect(record)
      const id = uniqueId(ids, record.get('id'), `${file}:${line}`)
      examples.push(...reader(record, id, options.prompt ?? 'tool-n1'))
    } catch (error) {
      report(line, error instanceof Error ? error.message : String(error))
    }
  }
  if (examples.length === 0) {
    const first = problems[0] ? `; line ${problems[0].line}: ${problems[0].reason}` : ''
    throw codedError('Error', 'ERR_DATA', `[data] ${file}: expected usable records, got none of ${count}${first}`)
  }
  return { examples, report: { records: count, examples: examples.length, problems } }
}

const readers: Record<DataFormat, RecordReader> = { xlam: readXlam, messages: readMessages, toolace: readToolAce }

function detect(record: JsonObject): RecordReader {
  if (record.has('query') && record.has('answers')) return readXlam
  if (record.has('messages')) return readMessages
  if (record.has('conversations')) return readToolAce
  const keys = [...record.keys()].slice(0, 8).join(', ')
  throw new Error(`expected the keys of xLAM (query, tools, answers), "messages" or "conversations", got ${keys}`)
}

interface RawRecord {
  line: number
  /** Parses it; throws where it cannot be. */
  read: () => JsonValue
}

const newline = 0x0a

function* readLines(bytes: Uint8Array): Generator<RawRecord> {
  for (let from = 0, line = 1; from < bytes.length; line++) {
    const end = bytes.indexOf(newline, from)
    const to = end < 0 ? bytes.length : end
    const slice = bytes.subarray(from, to)
    from = to + 1
    if (slice.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) continue
    yield { line, read: () => parseJson(decode(slice)) }
  }
}

function readList(file: string, bytes: Uint8Array): RawRecord[] {
  let value: JsonValue
  try {
    value = parseJson(decode(bytes))
  } catch (error) {
    throw codedError('Error', 'ERR_DATA', `[data] ${file}: ${(error as Error).message}`, error)
  }
  return (value as JsonValue[]).map((item, i) => ({ line: i + 1, read: () => item }))
}

/** A JSON list begins with a bracket; a JSONL record, being an object, never does. */
function isJsonList(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 1024)).trimStart()
  return start.startsWith('[')
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Error('expected UTF-8 text, got other bytes')
  }
}

function asObject(value: JsonValue): JsonObject {
  if (value instanceof Map) return value
  throw new Error(`expected an object, got ${kind(value)}`)
}

/** The record's own id, or its place; a second record of the same id gets `~2` behind it. */
function uniqueId(seen: Map<string, number>, value: JsonValue | undefined, place: string): string {
  const id = typeof value === 'string' && value !== '' ? value : value instanceof JsonNumber ? value.lexeme : place
  const times = (seen.get(id) ?? 0) + 1
  seen.set(id, times)
  return times === 1 ? id : `${id}~${times}`
}

function select(examples: Example[], { seed, part = [0, 1], limit }: DatasetOptions): Example[] {
  const order = seed === undefined ? examples : Random.of('order', seed).shuffle(examples)
  const [from, to] = part
  return order.slice(Math.floor(from * order.length), Math.floor(to * order.length)).slice(0, limit)
}

function checkOptions({ part, limit, seed, format, prompt }: DatasetOptions): void {
  const bad = (what: string, got: unknown): never =>
    fail('RangeError', 'ERR_CONFIG', `[data] expected ${what}, got ${JSON.stringify(got)}`)
  if (part && !(part.length === 2 && part[0] >= 0 && part[0] < part[1] && part[1] <= 1)) {
    bad('part to be [from, to] with 0 <= from < to <= 1', part)
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) bad('limit to be a positive integer', limit)
  if (seed !== undefined && !Number.isInteger(seed)) bad('seed to be an integer', seed)
  if (format !== undefined && !Object.hasOwn(readers, format))
    bad(`format to be ${Object.keys(readers).join(', ')}`, format)
  if (prompt !== undefined && prompt !== 'tool-n1' && prompt !== 'native') bad('prompt to be tool-n1 or native', prompt)
}
