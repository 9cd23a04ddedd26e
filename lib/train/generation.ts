import { completionRows, type ItemizedBatch, type PromptGroup, packGroups, planGroups } from '../batch.js'

/** One completion of the rollout buffer: what an update needs of it, and nothing that could be computed again. */
export interface Sample {
  tokens: Int32Array
  finishReason: 'stop' | 'length'
  /** [tokens] log-probs that the sampler reported; null where it reported none */
  sampled: Float32Array | null
  /** [tokens] log-probs under the weights that drew it, once a forward pass has given them */
  old: Float32Array | null
  /** [tokens] log-probs under the frozen reference, when beta > 0 */
  reference: Float32Array | null
  /** NaN where no reward applies. */
  reward: number
  advantage: number
  /** False for a truncated completion under `maskTruncatedCompletions`: no token of it counts. */
  counted: boolean
}

/** A prompt and its completions. */
export interface SampleGroup {
  /** Index into the data set. */
  example: number
  prompt: Int32Array
  samples: Sample[]
}

/** The rollout buffer: the completions of one generation, used by one or more updates. */
export interface Generation {
  /** 0 for the first of the run. */
  index: number
  groups: SampleGroup[]
}

/** The groups of mini-batch `part` of `parts`: contiguous, whole groups, equal numbers of prompts. */
export function miniBatch({ groups }: Generation, part: number, parts: number): SampleGroup[] {
  const cut = (i: number) => Math.round((i * groups.length) / parts)
  return groups.slice(cut(part), cut(part + 1))
}

/** A group as packing takes it; completions that do not count have no rows. */
function asPromptGroup({ prompt, samples }: SampleGroup): PromptGroup {
  return { prompt, completions: samples.map(countedTokens) }
}

/** Lengths as planning takes them. */
function lengthsOf({ prompt, samples }: SampleGroup) {
  return {
    promptTokens: prompt.length,
    completionTokens: samples.map((sample) => completionRows(countedTokens(sample))),
  }
}

const nothing = new Int32Array(0)
const countedTokens = ({ tokens, counted }: Sample) => ({ tokens: counted ? tokens : nothing })

/** Completions and loss tokens of groups: the size by which an update is normalised. */
export function totalsOf(groups: readonly SampleGroup[]): { completions: number; tokens: number } {
  let [completions, tokens] = [0, 0]
  for (const { samples } of groups) {
    completions += samples.length
    for (const { counted, tokens: own } of samples) if (counted) tokens += own.length
  }
  return { completions, tokens }
}

/** Lengths of a generation's completions under TRL's names. */
export function lengthMetrics({ groups }: Generation): Record<string, number> {
  const samples = groups.flatMap((group) => group.samples)
  const lengths = samples.map(({ tokens }) => tokens.length)
  const ended = samples.filter(({ finishReason }) => finishReason === 'stop').map(({ tokens }) => tokens.length)
  const spread = (prefix: string, suffix: string, values: number[]) => ({
    [`${prefix}mean${suffix}`]: values.reduce((sum, x) => sum + x, 0) / Math.max(values.length, 1),
    [`${prefix}min${suffix}`]: values.reduce((a, b) => Math.min(a, b), values[0] ?? 0),
    [`${prefix}max${suffix}`]: values.reduce((a, b) => Math.max(a, b), 0),
  })
  return {
    ...spread('completions/', '_length', lengths),
    ...spread('completions/', '_terminated_length', ended),
    'completions/clipped_ratio': (samples.length - ended.length) / Math.max(samples.length, 1),
  }
}

/** Tokens of a generation as TRL counts them: each completion with its prompt. */
export function tokensSeen({ groups }: Generation): number {
  let tokens = 0
  for (const { prompt, samples } of groups) for (const sample of samples) tokens += prompt.length + sample.tokens.length
  return tokens
}

/** Completions that share one forward pass, packed. Item i of `batch` is `samples[i]`. */
export interface Microbatch {
  samples: Sample[]
  batch: ItemizedBatch
}

/** Cuts groups into microbatches of at most `budget` rows; completions without rows are in none. */
export function* microbatches(groups: readonly SampleGroup[], budget: number): Iterable<Microbatch> {
  for (const parts of planGroups(groups.map(lengthsOf), budget)) {
    const cut = parts.map(({ group, completions }) => {
      const { example, prompt, samples } = groups[group]!
      return { example, prompt, samples: completions.map((i) => samples[i]!) }
    })
    yield { samples: cut.flatMap(({ samples }) => samples), batch: packGroups(cut.map(asPromptGroup)) }
  }
}
