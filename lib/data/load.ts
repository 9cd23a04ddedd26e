import { basename } from 'node:path'
import { codedError, fail } from '../errors.js'
import { isPromptFormat, promptFormats } from '../text/prompts/formats.js'
import type { Example } from './example.js'
import { type Problem, problemError, Tally } from './problems.js'
import { Random } from './random.js'
import { SampleReader } from './reader.js'
import { type DataFormat, dataFormats, type PromptStyle, toExample } from './sample.js'
import { datasetFiles } from './source/files.js'
import { openSource, type RawRecord, recordsOf } from './source/open.js'
import { sniff } from './source/sniff.js'

export type { Problem } from './problems.js'
export type { DataFormat, PromptStyle } from './sample.js'

export interface DatasetOptions {
  /** Default: told from the keys of each record. */
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

export interface DatasetReport {
  /** Records in the file, good or bad. */
  records: number
  /** Records that gave no example. */
  leftOut: number
  /** Examples (turns) that were left out of records that gave others. */
  samplesLeftOut: number
  /** Examples that the good ones gave, before `part` and `limit`. */
  examples: number
  /** What was left out and why, and ids that had to be changed. */
  problems: Problem[]
}

export interface Dataset {
  examples: Example[]
  report: DatasetReport
}

/**
 * Reads a data set: JSONL (one record a line; blank lines, CRLF and a byte-order mark are fine), JSON (a list of records) or parquet, told by
 * content; or a data set's id on the Hugging Face Hub. docs/data.md has the record formats.
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
  const files = await datasetFiles(path)
  const collector = new Collector(settings)
  for (const file of files) {
    const { batches } = await openSource(file)
    for await (const { records } of batches()) collector.add(basename(file), records)
  }
  const dataset = collector.finish(files.map((file) => basename(file)).join(', '))
  return { ...dataset, examples: select(dataset.examples, settings) }
}

/** {@link loadDataset} on the bytes of a JSON or JSONL file at hand, without `part`, `seed` and `limit`. */
export function readDataset(file: string, bytes: Uint8Array, options: DatasetOptions = {}): Dataset {
  const collector = new Collector(options)
  const found = sniff(bytes)
  const problem = 'problem' in found ? found.problem : found.kind === 'parquet' ? 'expected text, got parquet' : null
  if (problem !== null) throw problemError({ file, line: 0, kind: 'file', reason: problem })
  if ('kind' in found && found.kind !== 'parquet') collector.add(file, recordsOf(bytes, found.kind))
  return collector.finish(file)
}

class Collector {
  private readonly examples: Example[] = []
  private readonly problems: Problem[] = []
  private readonly reader: SampleReader
  private readonly tally: Tally
  private records = 0
  private leftOut = 0
  private samplesLeftOut = 0

  constructor(private readonly options: DatasetOptions) {
    const { format, strict = false } = options
    const tally = new Tally({ strict, onProblem: (problem) => this.problems.push(problem) })
    this.tally = tally
    this.reader = new SampleReader({ ...(format && { format }), onProblem: (problem) => tally.add(problem) })
  }

  add(file: string, records: Iterable<RawRecord>): void {
    const prompt = this.options.prompt ?? 'tool-n1'
    for (const raw of records) {
      this.records++
      const before = this.tally.dropped
      const { samples } = this.reader.read(file, raw)
      if (samples.length === 0) this.leftOut++
      else this.samplesLeftOut += this.tally.dropped - before
      for (const sample of samples) this.examples.push(toExample(sample, prompt))
    }
  }

  finish(file: string): Dataset {
    const { examples, problems, records, leftOut, samplesLeftOut } = this
    if (examples.length === 0) throw nothingLeft(file, records, problems[0])
    return { examples, report: { records, leftOut, samplesLeftOut, examples: examples.length, problems } }
  }
}

/** The error over a data set without a usable record, with the first reason why. `file`: its name, or several of them. */
export function nothingLeft(file: string, records: number, first: Problem | undefined): Error {
  const got = records === 0 ? 'expected records, got none' : `expected usable records, got none of ${records}`
  return codedError('Error', 'ERR_DATA', `[data] ${file}: ${got}${first ? `; ${firstReason(file, first)}` : ''}`)
}

function firstReason(file: string, { file: own, line, reason }: Problem): string {
  const where = [...(own === file ? [] : [own]), ...(line > 0 ? [`line ${line}`] : [])].join(', ')
  return where === '' ? reason : `${where}: ${reason}`
}

function select(examples: Example[], { seed, ...options }: DatasetOptions): Example[] {
  const order = seed === undefined ? examples : Random.of('order', seed).shuffle(examples)
  return order.slice(...selectedRange(order.length, options))
}

/** From which to which (exclusive) of `count` examples in their order `part` and `limit` keep. */
export function selectedRange(
  count: number,
  { part = [0, 1], limit = count }: Pick<DatasetOptions, 'part' | 'limit'>,
): [from: number, to: number] {
  const [from, to] = [Math.floor(part[0] * count), Math.floor(part[1] * count)]
  return [from, Math.min(to, from + limit)]
}

function checkOptions({ part, limit, seed, format, prompt }: DatasetOptions): void {
  const bad = (what: string, got: unknown): never =>
    fail('RangeError', 'ERR_CONFIG', `[data] expected ${what}, got ${JSON.stringify(got)}`)
  if (part && !(part.length === 2 && part[0] >= 0 && part[0] < part[1] && part[1] <= 1)) {
    bad('part to be [from, to] with 0 <= from < to <= 1', part)
  }
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) bad('limit to be a positive integer', limit)
  if (seed !== undefined && !Number.isInteger(seed)) bad('seed to be an integer', seed)
  if (format !== undefined && !dataFormats.includes(format)) bad(`format to be ${dataFormats.join(', ')}`, format)
  if (prompt !== undefined && !isPromptFormat(prompt)) bad(`prompt to be ${promptFormats.join(', ')}`, prompt)
}
