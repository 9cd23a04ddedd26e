import type { GRPOConfig } from '../config.js'

export type LossType = GRPOConfig['lossType']

/** What a loss needs to know of the settings; a whole `GRPOConfig` is one. */
export type LossSettings = Pick<
  GRPOConfig,
  | 'lossType'
  | 'importanceSamplingLevel'
  | 'epsilon'
  | 'epsilonHigh'
  | 'delta'
  | 'beta'
  | 'useBiasCorrectionKl'
  | 'maxCompletionLength'
  | 'sapoTemperaturePos'
  | 'sapoTemperatureNeg'
  | 'vespoKPos'
  | 'vespoLambdaPos'
  | 'vespoKNeg'
  | 'vespoLambdaNeg'
>

/**
 * Completions back to back: completion i owns tokens `[offsets[i], offsets[i + 1])`. T tokens, S completions.
 *
 * A completion is never divided between two calls, because sequence-level ratios need all of it.
 */
export interface LossInput {
  /** [S + 1] */
  offsets: ArrayLike<number>
  /** [T] log-probs under the weights that are being updated */
  logprob: ArrayLike<number>
  /** [T] log-probs under the weights that drew the completions; null: those of `logprob`, without gradient (on-policy) */
  old: ArrayLike<number> | null
  /** [T] log-probs under the frozen reference; needed when beta > 0 */
  reference?: ArrayLike<number> | null
  /** [T] 0 takes a token out; null: every token counts */
  mask?: ArrayLike<number> | null
  /** [S] */
  advantage: ArrayLike<number>
  /** [T] weight for the mismatch between sampler and trainer (`mismatchWeights`), 1 at masked tokens; null: none */
  weight?: ArrayLike<number> | null
  /** [T] entropy of the distribution at each token, for the metric only */
  entropy?: ArrayLike<number> | null
}

/**
 * Size of the whole update. Losses are normalised by it, so microbatches of one update sum up to the loss of all of it, and
 * how an update was cut can change nothing but rounding.
 */
export interface LossTotals {
  /** Completions, empty and fully masked ones included. */
  completions: number
  /** Tokens whose mask is not 0. */
  tokens: number
}
