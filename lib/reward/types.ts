import type { Example } from '../data/example.js'

/** What a reward function sees of one completion. */
export interface RewardSample {
  /** Rendered text of the prompt. */
  prompt: string
  /** Text of the completion, special tokens kept, without the end-of-turn token. */
  completion: string
  /** The completion's sampled token ids. */
  tokens: readonly number[]
  finishReason: 'stop' | 'length'
  example: Example
}

export interface Score {
  reward: number
  /** Named pieces of the reward, logged as means. */
  parts?: Record<string, number>
  /** Why this reward, in words; written to completions.jsonl. */
  explain?: string
}

/** A number, null for "does not apply to this sample", or a score with its parts; or a promise of one of them. */
export type RewardResult = number | null | Score

export type RewardFunction = (sample: RewardSample) => RewardResult | Promise<RewardResult>

export interface WeightedReward {
  /** Names the metric `rewards/{name}/mean`. */
  name: string
  /** Default 1. */
  weight?: number
  fn: RewardFunction
}
