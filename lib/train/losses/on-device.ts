import { fail } from '../../errors.js'
import { grpoLoss as grpoLossOp } from '../../tensor/ops.generated.js'
import type { Tensor } from '../../tensor/tensor.js'
import { type GRPOOptions, parseGRPOConfig } from '../config.js'
import { addSums, emptySums, type LossSums, lossMetrics } from './metrics.js'
import { tokenWeight } from './surrogates.js'
import type { LossSettings, LossTotals } from './types.js'

/** The keys of {@link LossSettings}; each is optional and has the trainer's default. */
export type LossOptions = Pick<GRPOOptions, keyof LossSettings>

export interface GrpoLossOptions extends LossOptions {
  /**
   * Completions and tokens of the whole update, of which this call may be a part: empty and fully masked completions count as
   * completions, masked tokens do not count as tokens.
   */
  totals: LossTotals
  /** [T] f32, log-probs under the weights that drew the completions; none: `logprob` itself, so that every ratio is 1 */
  old?: Tensor | null
  /** [T] f32, log-probs under the frozen reference; needed when `beta` is above 0 */
  reference?: Tensor | null
  /** [T] u8, 0 takes a token out */
  mask?: Tensor | null
  /** [T] f32, correction for the mismatch of sampler and trainer, 1 at masked tokens */
  weight?: Tensor | null
  /** Tensors to write instead of new ones. */
  out?: { loss?: Tensor; dLogprob?: Tensor; stats?: Tensor }
}

export interface GrpoLossTensors {
  /** [T] f32, each token's part of the update's loss, 0 where masked; the sum over all calls of an update is its loss */
  loss: Tensor
  /** [T] f32, d loss / d log-prob: what `linearLogprobBackward` takes */
  dLogprob: Tensor
  /** [S, 7] f32, what {@link grpoLossMetrics} reads */
  stats: Tensor
}

/** Which surrogate of the op a loss type has: the index of its name. */
const surrogates = ['clip', 'cispo', 'sapo', 'vespo']

/**
 * Every GRPO loss (grpo, bnpo, dr_grpo, dapo, cispo, sapo, luspo, vespo) on tensors, on any device: nothing is read back. S completions
 * lie back to back, completion i owns tokens `[offsets[i], offsets[i + 1])`. Settings have GRPOConfig's names and defaults.
 *
 * Parts of an update that is cut between completions have the bits of the whole, because losses are normalised by `totals`. Formulas and
 * what NaN does: `lib/train/losses/grpo.ts`, the same on vectors in float64, which the trainer uses.
 *
 * @param logprob [T] f32, under the weights that are being updated
 * @param offsets [S + 1] i32, rising from 0 to T; completions may be empty
 * @param advantage [S] f32
 * @throws TypeError or RangeError with `code` when a setting, shape, dtype or value does not fit
 */
export function grpoLoss(
  logprob: Tensor,
  offsets: Tensor,
  advantage: Tensor,
  options: GrpoLossOptions,
): GrpoLossTensors {
  const { totals, old, reference, mask, weight, out, ...settings } = options
  const tensors = { old, reference, mask, weight, ...(out && { out }) }
  return grpoLossOp(logprob, offsets, advantage, { ...tensors, ...lossAttributes(parseGRPOConfig(settings), totals) })
}

/** The op's attributes for a loss type: its surrogate, and how tokens are averaged over an update of this size. */
export function lossAttributes(settings: LossSettings, totals: LossTotals) {
  for (const name of ['completions', 'tokens'] as const) {
    const count = totals?.[name]
    if (Number.isSafeInteger(count) && count >= 0) continue
    fail('RangeError', 'ERR_RANGE', `[grpoLoss] expected totals.${name} as a count of at least 0, got ${count}`)
  }
  const { lossType, epsilon, epsilonHigh, delta, beta, useBiasCorrectionKl } = settings
  const { sapoTemperaturePos, sapoTemperatureNeg, vespoKPos, vespoLambdaPos, vespoKNeg, vespoLambdaNeg } = settings
  const update = { ...totals, completions: Math.max(totals.completions, 1) }
  return {
    tokenWeight: tokenWeight(lossType, 1, update, settings.maxCompletionLength),
    surrogate: Math.max(surrogates.indexOf(lossType), 0),
    completionMean: lossType === 'grpo' || lossType === 'sapo',
    sequenceLevel: settings.importanceSamplingLevel === 'sequence',
    epsilon,
    epsilonHigh,
    delta: delta ?? Number.POSITIVE_INFINITY,
    beta,
    useBiasCorrectionKl,
    ...{ sapoTemperaturePos, sapoTemperatureNeg, vespoKPos, vespoLambdaPos, vespoKNeg, vespoLambdaNeg },
  }
}

/** Numbers of a completion in `stats`. */
const columns = 7
type Row = [loss: number, tokens: number, kl: number, low: number, high: number, cispo: number, phi: number]

/** Sums of `stats` as the trainer keeps them; `level` is the importance sampling level of the call. */
export function lossSums(stats: ArrayLike<number>, level: LossSettings['importanceSamplingLevel']): LossSums {
  const sums = emptySums()
  for (let at = 0; at < stats.length; at += columns) {
    const [, tokens, kl, low, high, cispo, phi] = Array.from({ length: columns }, (_, i) => stats[at + i]) as Row
    const ratios = level === 'sequence' ? 1 : tokens
    addSums(sums, {
      tokens,
      ratios,
      kl,
      entropy: 0,
      lowClipped: low,
      highClipped: high,
      lowMin: ratios > 0 ? low / ratios : Number.POSITIVE_INFINITY,
      highMax: ratios > 0 ? high / ratios : Number.NEGATIVE_INFINITY,
      cispoClipped: cispo,
      phi,
      completions: 1,
    })
  }
  return sums
}

/**
 * Loss and metrics of an update under TRL's names (`loss`, `kl`, `clip_ratio/…`, `cispo_clip_ratio`, `vespo/phi_seq_mean`: those that the
 * loss type and `beta` call for).
 *
 * @param stats [S, 7] what was read from `stats` of {@link grpoLoss}; of several calls, one behind the other
 * @param options the settings of those calls
 */
export function grpoLossMetrics(stats: ArrayLike<number>, options: LossOptions = {}): Record<string, number> {
  if (stats.length % columns !== 0) {
    const got = `[grpoLossMetrics] expected ${columns} numbers a completion, got ${stats.length}`
    fail('RangeError', 'ERR_SHAPE', got)
  }
  const settings = parseGRPOConfig(options)
  const { entropy: _, ...metrics } = lossMetrics(lossSums(stats, settings.importanceSamplingLevel), settings)
  let loss = 0
  for (let at = 0; at < stats.length; at += columns) loss += stats[at]!
  return { loss, ...metrics }
}
