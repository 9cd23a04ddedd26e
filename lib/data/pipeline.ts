import type { Example } from './example.js'
import { argumentProblem } from './filters/arguments.js'
import { irrelevantCopy } from './filters/irrelevance.js'
import { maskSample } from './filters/masking.js'
import { type Problem, type ProblemKind, Tally, type TallyOptions } from './problems.js'
import { Random } from './random.js'
import { type ReadRecord, SampleReader } from './reader.js'
import { type DataFormat, type PromptStyle, type Sample, toExample } from './sample.js'
import { openSource, type RawRecord } from './source/open.js'

export interface PipelineOptions extends TallyOptions {
  /** Default: told from each record's keys. */
  format?: DataFormat
  /** Answers in words become samples whose right answer is no call. Default false. */
  noCall?: boolean
  /** Keeps calls of tools that are not in the list. Default false. */
  keepUnknownTools?: boolean
  /** Leaves out calls whose arguments break the tool's own schema. Default false. */
  checkArguments?: boolean
  /** Share of the samples with calls that get a copy without the tools that answer them. Default 0. */
  irrelevance?: number
  /** Share of the samples whose tools get random names. Default 0. */
  mask?: number
  /** Prompts of more tokens are left out. */
  maxPromptTokens?: { limit: number; prompt: PromptStyle; lengthOf: (example: Example) => number }
  /** Keys every random choice together with a sample's id. Default 0. */
  seed?: number
}

/** What one record became. */
export interface Built extends ReadRecord {
  file: string
  raw: RawRecord
  /** How many problems left out the record, turns or copies of it. */
  dropped: number
}

/** From records to the samples that a data set shall have: reading, filters, augmentations. Keeps nothing but counts and ids. */
export class Pipeline {
  readonly tally: Tally
  private readonly reader: SampleReader
  private readonly seed: number

  constructor(private readonly options: PipelineOptions) {
    const { format, noCall = false, keepUnknownTools = false, strict = false, onProblem, seed = 0 } = options
    this.tally = new Tally({ strict, ...(onProblem && { onProblem }) })
    this.seed = seed
    this.reader = new SampleReader({
      noCall,
      keepUnknownTools,
      ...(format && { format }),
      onProblem: (problem) => this.tally.add(problem),
    })
  }

  build(file: string, raw: RawRecord): Built {
    const before = this.tally.dropped
    const { source, multiTurn, samples } = this.reader.read(file, raw)
    const place = { file, line: raw.line }
    const kept: Sample[] = []
    for (const sample of samples) {
      if (!this.passes(sample, place)) continue
      for (const variant of this.augment(sample)) if (this.fits(variant, place)) kept.push(variant)
    }
    return { file, raw, source, multiTurn, samples: kept, dropped: this.tally.dropped - before }
  }

  private drop(kind: ProblemKind, reason: string, sample: Sample, place: Pick<Problem, 'file' | 'line'>): false {
    this.tally.add({ ...place, kind, reason, id: sample.id })
    return false
  }

  private passes(sample: Sample, place: Pick<Problem, 'file' | 'line'>): boolean {
    const { calls, tools } = sample
    if (calls === undefined) return true
    const byName = new Map(tools.map((tool) => [tool.get('name') as string, tool]))
    for (const call of calls) {
      const name = call.get('name') as string
      const tool = byName.get(name)
      if (tool === undefined) {
        if (this.options.keepUnknownTools) continue
        return this.drop('unknown_tool', `expected a tool of the list, got "${name}"`, sample, place)
      }
      const problem = this.options.checkArguments ? argumentProblem(call, tool) : null
      if (problem !== null) return this.drop('arguments', problem, sample, place)
    }
    return true
  }

  private augment(sample: Sample): Sample[] {
    const { irrelevance = 0, mask = 0 } = this.options
    const variants = [sample]
    if (irrelevance > 0 && Random.of('irrelevance', this.seed, sample.id).chance(irrelevance)) {
      const copy = irrelevantCopy(sample)
      if (copy !== null) variants.push(copy)
    }
    if (mask === 0) return variants
    return variants.map((one) =>
      Random.of('masked', this.seed, one.id).chance(mask) ? maskSample(one, this.seed) : one,
    )
  }

  private fits(sample: Sample, place: Pick<Problem, 'file' | 'line'>): boolean {
    const { maxPromptTokens } = this.options
    if (maxPromptTokens === undefined) return true
    const { limit, prompt, lengthOf } = maxPromptTokens
    const tokens = lengthOf(toExample(sample, prompt))
    if (tokens <= limit) return true
    const reason = `expected a prompt of at most ${limit} tokens, got ${tokens}`
    return this.drop('prompt_length', reason, sample, place)
  }
}

export interface Progress {
  file: string
  /** Bytes of all files that have been read. */
  bytes: number
  totalBytes: number
  records: number
}

/** Runs files through a pipeline, record by record, in order. `file` in problems is the path as given. */
export async function* runPipeline(
  files: readonly string[],
  pipeline: Pipeline,
  onProgress: (progress: Progress) => void = () => {},
): AsyncGenerator<Built[]> {
  const sources = []
  for (const file of files) sources.push(await openSource(file))
  const totalBytes = sources.reduce((sum, source) => sum + source.size, 0)
  let before = 0
  let records = 0
  for (const { path, size, batches } of sources) {
    for await (const batch of batches()) {
      const built = batch.records.map((raw) => pipeline.build(path, raw))
      records += built.length
      onProgress({ file: path, bytes: before + batch.bytes, totalBytes, records })
      yield built
    }
    before += size
  }
}
