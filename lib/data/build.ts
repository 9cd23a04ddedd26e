import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { codedError, fail } from '../errors.js'
import { ioReason } from '../formats/io.js'
import { SourceCounts } from './counts.js'
import { nothingLeft } from './load.js'
import { checkOutputs } from './outputs.js'
import { Pipeline, type PipelineOptions, type Progress, runPipeline } from './pipeline.js'
import type { Problem } from './problems.js'
import { Random } from './random.js'
import { toLine } from './sample.js'
import { datasetFiles } from './source/files.js'
import { LineWriter, Spool } from './spool.js'

export interface BuildOptions extends PipelineOptions {
  /** Written when all is well: one sample a line, in the form that `loadDataset` reads. */
  output: string
  /** Keeps the records from one fraction to another of a seeded order: [0, 0.5] and [0.5, 1] are two halves. */
  part?: readonly [number, number]
  /** The share of the records that goes to `output`, and the file for the others. */
  split?: { share: number; output: string }
  /** Writes in the seeded order. Default false: in the order of the input. */
  shuffle?: boolean
  /** Every problem as a line of JSON: file, line, kind, reason, id. */
  dropped?: string
  onProgress?: (progress: Progress) => void
}

export interface BuildResult {
  counts: SourceCounts
  pipeline: Pipeline
  files: { path: string; records: number; samples: number }[]
}

/**
 * Builds a data set out of files: reads, filters, augments, chooses a part, splits. Streams: memory grows by an id and a few numbers a record.
 * The same input, options and seed give the same bytes. All samples of a record (the turns of one conversation, its copies) stay on one side
 * of a split, so that nothing of the test set has been a prompt of the training set.
 *
 * A part, a split and an order need the number of records first; then all samples are kept in a nameless file beside the output, which
 * takes as much room.
 *
 * Errors: `ERR_CONFIG` where two outputs are one file, or one is an input; `ERR_DATA` where nothing is left, or with `strict` over the first bad record; `ERR_IO`. Then there is no output, and one that was
 * there before is still the old one.
 */
export async function buildDataset(inputs: readonly string[], options: BuildOptions): Promise<BuildResult> {
  const files = (await Promise.all(inputs.map((input) => datasetFiles(input)))).flat()
  const { output, split, dropped } = options
  checkOutputs(
    [
      { name: 'output (--output)', path: output },
      ...(split ? [{ name: 'split.output (--test-output)', path: split.output }] : []),
      ...(dropped === undefined ? [] : [{ name: 'dropped (--dropped)', path: dropped }]),
    ],
    files,
  )
  const writers = new Writers(options)
  try {
    const counts = new SourceCounts()
    let first: Problem | undefined
    const pipeline = new Pipeline({
      ...options,
      onProblem: (problem) => {
        first ??= problem
        writers.dropped?.write(JSON.stringify(problem))
        options.onProblem?.(problem)
      },
    })
    const target = needsOrder(options) ? new ChosenRecords(options) : new AllRecords()
    try {
      for await (const batch of runPipeline(files, pipeline, options.onProgress)) {
        for (const built of batch) {
          counts.add(built)
          if (built.samples.length > 0) target.add(built.samples.map(toLine), writers)
        }
      }
      if (counts.samples === 0) throw nothingLeft(files.join(', '), counts.records, first)
      target.finish(writers)
    } finally {
      target.close()
    }
    return { counts, pipeline, files: writers.finish() }
  } catch (error) {
    writers.discard()
    if ((error as { code?: string }).code?.startsWith('ERR_')) throw error
    if (!(error instanceof Error && 'syscall' in error)) throw error
    throw codedError('Error', 'ERR_IO', `[data] cannot write ${options.output}: ${ioReason(error)}`, error)
  }
}

const needsOrder = ({ part, split, shuffle }: BuildOptions): boolean =>
  shuffle === true || split !== undefined || part !== undefined

class Writers {
  readonly dropped: LineWriter | null
  private readonly writers: { writer: LineWriter; records: number }[]

  constructor({ output, split, dropped }: BuildOptions) {
    const opened: LineWriter[] = []
    const open = (path: string): LineWriter => {
      try {
        mkdirSync(dirname(path), { recursive: true })
        const writer = new LineWriter(path)
        opened.push(writer)
        return writer
      } catch (error) {
        for (const writer of opened) writer.discard()
        return fail('Error', 'ERR_IO', `[data] cannot write ${path}: ${ioReason(error)}`, error)
      }
    }
    this.dropped = dropped === undefined ? null : open(dropped)
    this.writers = [output, ...(split ? [split.output] : [])].map((path) => ({ writer: open(path), records: 0 }))
  }

  /** `side`: 0 the output, 1 the other one of a split. */
  write(side: number, record: string): void {
    const target = this.writers[side]
    if (target === undefined) throw new Error(`[data] expected side 0 or 1, got ${side}`)
    target.records++
    target.writer.write(record)
  }

  finish(): BuildResult['files'] {
    this.dropped?.finish()
    return this.writers.map(({ writer, records }) => {
      writer.finish()
      return { path: writer.path, records, samples: writer.lines }
    })
  }

  discard(): void {
    for (const writer of [this.dropped, ...this.writers.map(({ writer: one }) => one)]) writer?.discard()
  }
}

interface Target {
  /** The lines of a record. */
  add: (lines: readonly string[], writers: Writers) => void
  finish: (writers: Writers) => void
  close: () => void
}

class AllRecords implements Target {
  add(lines: readonly string[], writers: Writers): void {
    writers.write(0, lines.join('\n'))
  }

  finish(): void {}

  close(): void {}
}

class ChosenRecords implements Target {
  private readonly spool: Spool

  constructor(private readonly options: BuildOptions) {
    this.spool = new Spool(`${options.output}.spool`)
  }

  add(lines: readonly string[]): void {
    this.spool.add(lines.join('\n'))
  }

  finish(writers: Writers): void {
    const { part = [0, 1], split, shuffle, seed = 0 } = this.options
    const count = this.spool.length
    const order = Random.of('build', seed).shuffle(Array.from({ length: count }, (_, i) => i))
    const chosen = order.slice(Math.floor(part[0] * count), Math.floor(part[1] * count))
    const cut = split ? Math.round(split.share * chosen.length) : chosen.length
    const sides = [chosen.slice(0, cut), chosen.slice(cut)]
    for (const [side, records] of sides.entries()) {
      if (!shuffle) records.sort((a, b) => a - b)
      for (const record of records) writers.write(side, this.spool.read(record))
    }
  }

  close(): void {
    this.spool.close()
  }
}
