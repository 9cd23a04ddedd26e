import type { LossInput, LossSettings } from '../../../lib/train/losses/types.js'

export const settings: LossSettings = {
  lossType: 'dapo',
  importanceSamplingLevel: 'token',
  epsilon: 0.2,
  epsilonHigh: 0.28,
  delta: null,
  beta: 0,
  useBiasCorrectionKl: true,
  maxCompletionLength: 11,
  sapoTemperaturePos: 1,
  sapoTemperatureNeg: 1.05,
  vespoKPos: 2,
  vespoLambdaPos: 3,
  vespoKNeg: 3,
  vespoLambdaNeg: 2,
}

/** A small generator with a seed, so that a failing test fails again. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** fp64 vectors for completions of the given lengths; about a fifth of the tokens are masked, ratios lie around 1. */
export function randomInput(lengths: number[], seed: number): LossInput & { logprob: Float64Array; old: Float64Array } {
  const random = uniform(seed)
  const offsets = [0]
  for (const length of lengths) offsets.push(offsets.at(-1)! + length)
  const tokens = offsets.at(-1)!
  const logprob = Float64Array.from({ length: tokens }, () => -3 * random() - 0.01)
  const near = (spread: number) => logprob.map((lp) => lp + spread * (random() - 0.5))
  return {
    offsets,
    logprob,
    old: near(1.2),
    reference: near(1.5),
    mask: Uint8Array.from({ length: tokens }, () => (random() < 0.2 ? 0 : 1)),
    advantage: lengths.map(() => 2 * random() - 1),
    weight: Float64Array.from({ length: tokens }, () => 0.5 + random()),
    entropy: Float64Array.from({ length: tokens }, random),
  }
}
