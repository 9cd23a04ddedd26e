import type { GRPOConfig } from '../config.js'

export interface MismatchInput {
  /** [S + 1] */
  offsets: ArrayLike<number>
  /** [T] log-probs of the trainer's forward pass under the weights that drew the completions */
  old: ArrayLike<number>
  /** [T] log-probs that the sampler reported; NaN where it could not say */
  sampled: ArrayLike<number>
  /** [T] */
  mask?: ArrayLike<number> | null
}

/** How far sampler and trainer are apart on the tokens that count; sums, so that parts of an update add up. */
export interface MismatchSums {
  tokens: number
  difference: number
  maxDifference: number
  weights: number
  weightSum: number
  minWeight: number
  maxWeight: number
}

export interface MismatchResult {
  /** [T] weight of each token, 1 at masked ones; null when `mode` is none */
  weight: Float32Array | null
  sums: MismatchSums
}

/**
 * Weights exp(old - sampled) that correct for completions drawn by another engine than the one that trains (truncated importance
 * sampling), per token or for the whole completion, and how large the difference is. `_truncate` caps a weight at `cap`, `_mask`
 * sets one above it to 0. A log-prob that the sampler could not give counts as equal to the trainer's.
 */
export function mismatchWeights(
  { offsets, old, sampled, mask }: MismatchInput,
  mode: GRPOConfig['importanceSamplingMode'],
  cap: number,
): MismatchResult {
  const sums = emptyMismatch()
  const weight = mode === 'none' ? null : new Float32Array(old.length).fill(1)
  const bounded = (w: number) => (w <= cap ? w : mode.endsWith('_mask') ? 0 : cap)
  const note = (w: number) => {
    sums.weights++
    sums.weightSum += w
    sums.minWeight = Math.min(sums.minWeight, w)
    sums.maxWeight = Math.max(sums.maxWeight, w)
    return w
  }
  for (let i = 0; i + 1 < offsets.length; i++) {
    let total = 0
    const each: [number, number][] = []
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
      if (mask && !mask[t]) continue
      const gap = old[t]! - sampled[t]!
      const known = Number.isNaN(sampled[t]!) ? 0 : gap
      if (!Number.isNaN(sampled[t]!)) {
        sums.tokens++
        sums.difference += Math.abs(gap)
        sums.maxDifference = Math.max(sums.maxDifference, Math.abs(gap))
      }
      total += known
      each.push([t, known])
    }
    if (!weight) continue
    if (mode.startsWith('sequence')) {
      const w = note(bounded(Math.exp(total)))
      for (const [t] of each) weight[t] = w
    } else {
      for (const [t, gap] of each) weight[t] = note(bounded(Math.exp(gap)))
    }
  }
  return { weight, sums }
}

export function emptyMismatch(): MismatchSums {
  const [minWeight, maxWeight] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  return { tokens: 0, difference: 0, maxDifference: 0, weights: 0, weightSum: 0, minWeight, maxWeight }
}

/** Adds `more` to `sums` in place. */
export function addMismatch(sums: MismatchSums, more: MismatchSums): MismatchSums {
  sums.tokens += more.tokens
  sums.difference += more.difference
  sums.maxDifference = Math.max(sums.maxDifference, more.maxDifference)
  sums.weights += more.weights
  sums.weightSum += more.weightSum
  sums.minWeight = Math.min(sums.minWeight, more.minWeight)
  sums.maxWeight = Math.max(sums.maxWeight, more.maxWeight)
  return sums
}

/** TRL's names; nothing where no log-prob could be compared. */
export function mismatchMetrics(sums: MismatchSums): Record<string, number> {
  const metrics: Record<string, number> = {}
  if (sums.tokens > 0) {
    metrics['sampling/sampling_logp_difference/mean'] = sums.difference / sums.tokens
    metrics['sampling/sampling_logp_difference/max'] = sums.maxDifference
  }
  if (sums.weights > 0) {
    metrics['sampling/importance_sampling_ratio/min'] = sums.minWeight
    metrics['sampling/importance_sampling_ratio/mean'] = sums.weightSum / sums.weights
    metrics['sampling/importance_sampling_ratio/max'] = sums.maxWeight
  }
  return metrics
}
