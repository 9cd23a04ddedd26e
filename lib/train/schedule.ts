import type { GRPOConfig } from './config.js'

export type ScheduleSettings = Pick<GRPOConfig, 'learningRate' | 'lrSchedulerType' | 'warmupSteps' | 'warmupRatio'>

/**
 * Learning rate of an update, by the formulas of transformers' `get_scheduler`: a linear rise over the warm-up, then constant,
 * linear to 0, or half a cosine to 0 at `totalSteps`. A function of the step alone, so a resumed run needs no state of it.
 *
 * @param update updates already made: 0 for the first
 */
export function learningRateAt(update: number, totalSteps: number, settings: ScheduleSettings): number {
  const warmup = warmupOf(totalSteps, settings)
  return settings.learningRate * factor(update, warmup, totalSteps, settings.lrSchedulerType)
}

/** Updates of the warm-up. */
function warmupOf(totalSteps: number, { warmupSteps, warmupRatio }: ScheduleSettings): number {
  return warmupSteps > 0 ? warmupSteps : Math.ceil(totalSteps * warmupRatio)
}

function factor(update: number, warmup: number, total: number, type: ScheduleSettings['lrSchedulerType']): number {
  if (update < warmup) return update / Math.max(1, warmup)
  if (type === 'constant') return 1
  const rest = Math.max(1, total - warmup)
  if (type === 'linear') return Math.max(0, (total - update) / rest)
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((update - warmup) / rest))))
}
