import { totalStepsOf } from '../session.js'

/** What a plan knows of lengths: means over examples. */
export interface Lengths {
  /** Tokens of a prompt. */
  prompt: number
  /** Tokens of an answer. */
  completion: number
}

/** Tokens of a run, summed over all of it. Null fields do not apply. */
export interface TokenCounts {
  /** Prompt tokens that rollouts compute: each prompt once for its group. */
  prefilled: number
  /** Tokens drawn. */
  drawn: number
  /** Rows that go forward and backward: each prompt once for its group. */
  trained: number
  /** Rows that go forward through the frozen reference. */
  reference: number
  /** As `num_tokens` of metrics.jsonl counts: every answer with its prompt. Throughput is stated in these. */
  counted: number
}

export interface RunLength {
  /** Rollouts of `promptsPerStep` prompts; null for supervised training. */
  generations: number | null
  /** Optimizer steps. */
  updates: number
}

interface GrpoSettings {
  maxSteps: number
  numTrainEpochs: number
  promptsPerStep: number
  numGenerations: number
  updatesPerGeneration: number
  numIterations: number
  beta: number
}

/** Steps of a GRPO run over so many examples; null where that is unknown and decides. */
export function grpoLength(config: GrpoSettings, examples: number | null): RunLength | null {
  if (config.maxSteps < 0 && examples === null) return null
  const perGeneration = config.updatesPerGeneration * config.numIterations
  const updates = totalStepsOf(config, { size: examples ?? 0, perStep: config.promptsPerStep, updates: perGeneration })
  return { generations: Math.ceil(updates / perGeneration), updates }
}

/** Tokens of a GRPO run. `trained` packs a prompt with its answers: P - 1 rows once, and an answer's own rows for each. */
export function grpoTokens(config: GrpoSettings, { updates }: RunLength, { prompt, completion }: Lengths): TokenCounts {
  // A run may end within a generation; rollouts and reference still pay for all of it.
  const perGeneration = config.updatesPerGeneration * config.numIterations
  const groups = Math.ceil(updates / perGeneration) * config.promptsPerStep
  const updated = (updates * config.promptsPerStep) / config.updatesPerGeneration
  const answers = config.numGenerations
  const packed = prompt - 1 + answers * completion
  return {
    prefilled: groups * (prompt - 1),
    drawn: groups * answers * completion,
    trained: updated * packed,
    reference: config.beta > 0 ? groups * packed : 0,
    counted: groups * answers * (prompt + completion),
  }
}

interface SftSettings {
  maxSteps: number
  numTrainEpochs: number
  examplesPerStep: number
}

/** Steps of a supervised run; null where the number of examples is unknown and decides. */
export function sftLength(config: SftSettings, examples: number | null): RunLength | null {
  if (config.maxSteps < 0 && examples === null) return null
  const updates = totalStepsOf(config, { size: examples ?? 0, perStep: config.examplesPerStep, updates: 1 })
  return { generations: null, updates }
}

/** Tokens of a supervised run: prompt and answer of every example, once each time it is drawn. */
export function sftTokens(config: SftSettings, { updates }: RunLength, { prompt, completion }: Lengths): TokenCounts {
  const trained = updates * config.examplesPerStep * (prompt + completion)
  return { prefilled: 0, drawn: 0, trained, reference: 0, counted: trained }
}
