import type { LossSettings } from './types.js'

/**
 * Sums from which the loss's metrics follow exactly, however the update was cut into microbatches.
 *
 * At token level a clipped fraction is over tokens, at sequence level over completions (`ratios` counts either).
 */
export interface LossSums {
  tokens: number
  ratios: number
  kl: number
  entropy: number
  lowClipped: number
  highClipped: number
  /** Least fraction of one completion that is clipped below; Infinity before the first. */
  lowMin: number
  /** Largest fraction of one completion that is clipped above; -Infinity before the first. */
  highMax: number
  cispoClipped: number
  phi: number
  completions: number
}

export function emptySums(): LossSums {
  return {
    tokens: 0,
    ratios: 0,
    kl: 0,
    entropy: 0,
    lowClipped: 0,
    highClipped: 0,
    lowMin: Number.POSITIVE_INFINITY,
    highMax: Number.NEGATIVE_INFINITY,
    cispoClipped: 0,
    phi: 0,
    completions: 0,
  }
}

/** Adds `more` to `sums` in place. */
export function addSums(sums: LossSums, more: LossSums): LossSums {
  for (const key of Object.keys(sums) as (keyof LossSums)[]) {
    if (key === 'lowMin') sums.lowMin = Math.min(sums.lowMin, more.lowMin)
    else if (key === 'highMax') sums.highMax = Math.max(sums.highMax, more.highMax)
    else sums[key] += more[key]
  }
  return sums
}

/** Metrics under TRL's names: the ones that the loss type and beta call for. */
export function lossMetrics(sums: LossSums, settings: LossSettings): Record<string, number> {
  const perToken = (x: number) => x / Math.max(sums.tokens, 1)
  const perRatio = (x: number) => x / Math.max(sums.ratios, 1)
  const metrics: Record<string, number> = {}
  if (settings.beta > 0) metrics.kl = perToken(sums.kl)
  metrics.entropy = perToken(sums.entropy)
  switch (settings.lossType) {
    case 'sapo':
      break
    case 'cispo':
      metrics.cispo_clip_ratio = perRatio(sums.cispoClipped)
      break
    case 'vespo':
      metrics['vespo/phi_seq_mean'] = sums.phi / Math.max(sums.completions, 1)
      break
    default:
      metrics['clip_ratio/low_mean'] = perRatio(sums.lowClipped)
      metrics['clip_ratio/low_min'] = Number.isFinite(sums.lowMin) ? sums.lowMin : 0
      metrics['clip_ratio/high_mean'] = perRatio(sums.highClipped)
      metrics['clip_ratio/high_max'] = Number.isFinite(sums.highMax) ? sums.highMax : 0
      metrics['clip_ratio/region_mean'] = perRatio(sums.lowClipped + sums.highClipped)
  }
  return metrics
}
