import { fail } from '../../errors.js'
import { emptySums, type LossSums } from './metrics.js'
import { surrogateOf, type TokenLoss, tokenWeight, vespoLogRatio, vespoLogWeight, vespoPhi } from './surrogates.js'
import type { LossInput, LossSettings, LossTotals } from './types.js'

export interface LossResult {
  /** This call's part of the update's loss: parts sum up, they are not averaged. */
  loss: number
  /** [T] d loss / d log-prob; 0 at masked tokens */
  dLogprob: Float32Array
  sums: LossSums
}

/**
 * The GRPO losses on vectors: grpo, bnpo, dr_grpo, dapo, cispo, sapo, luspo, vespo. Arithmetic in fp64; agrees with TRL 1.13.
 *
 * For each token, with r the importance ratio at token or sequence level, and w the mismatch weight:
 * `l = w * surrogate(r, A) + beta * k3`, k3 = exp(ref - lp) - (ref - lp) - 1, times r if `useBiasCorrectionKl`. The loss is the sum of
 * `l` under `tokenWeight`. vespo takes w into its completion weight instead. NaN in a token that counts makes the loss NaN;
 * what a masked token holds is never read.
 *
 * @param totals size of the whole update; default: that of this input
 * @throws RangeError (ERR_SHAPE) where lengths disagree, Error (ERR_CONFIG) where beta > 0 and there is no reference
 */
export function grpoLoss(input: LossInput, settings: LossSettings, totals = totalsOf(input)): LossResult {
  check(input, settings)
  const surrogate = surrogateOf(settings)
  const dLogprob = new Float32Array(input.logprob.length)
  const sums = emptySums()
  let loss = 0
  for (let i = 0; i + 1 < input.offsets.length; i++) {
    const completion = ratiosOf(input, settings, i)
    const weight = tokenWeight(settings.lossType, completion.counted, totals, settings.maxCompletionLength)
    loss += completionLoss(input, settings, surrogate, completion, weight, dLogprob)
    addMetrics(sums, input, settings, completion)
  }
  return { loss, dLogprob, sums }
}

/** Completions and loss tokens of an input. */
export function totalsOf({ offsets, logprob, mask }: Pick<LossInput, 'offsets' | 'logprob' | 'mask'>): LossTotals {
  let tokens = logprob.length
  if (mask) for (let t = 0; t < mask.length; t++) if (!mask[t]) tokens--
  return { completions: Math.max(offsets.length - 1, 0), tokens }
}

interface Completion {
  start: number
  end: number
  counted: number
  advantage: number
  /** [end - start] log of the importance ratio of each token */
  logRatios: Float64Array
  /** The completion's ratio at sequence level, null at token level. */
  ratio: number | null
  phi: number
}

const counts = (input: LossInput, t: number) => !input.mask || Boolean(input.mask[t])

function ratiosOf(input: LossInput, settings: LossSettings, i: number): Completion {
  const [start, end, advantage] = [input.offsets[i]!, input.offsets[i + 1]!, input.advantage[i]!]
  const logRatios = new Float64Array(end - start)
  let counted = 0
  let logSum = 0
  let vespoSum = 0
  let weightSum = 0
  for (let t = start; t < end; t++) {
    if (input.weight) weightSum += vespoLogWeight(input.weight[t]!)
    if (!counts(input, t)) continue
    const logRatio = input.logprob[t]! - (input.old ?? input.logprob)[t]!
    logRatios[t - start] = logRatio
    counted++
    logSum += logRatio
    vespoSum += vespoLogRatio(logRatio)
  }
  const ratio = settings.importanceSamplingLevel === 'sequence' ? Math.exp(logSum / Math.max(counted, 1)) : null
  const phi = settings.lossType === 'vespo' ? vespoPhi(settings, advantage, vespoSum, weightSum) : 1
  return { start, end, counted, advantage, logRatios, ratio, phi }
}

/** Adds one completion's loss, and writes its gradients. */
function completionLoss(
  input: LossInput,
  settings: LossSettings,
  surrogate: ReturnType<typeof surrogateOf>,
  { start, end, counted, advantage, logRatios, ratio, phi }: Completion,
  weight: number,
  dLogprob: Float32Array,
): number {
  const token: TokenLoss = { loss: 0, viaRatio: 0, direct: 0 }
  const direct = new Float64Array(end - start)
  let loss = 0
  let shared = 0
  for (let t = start; t < end; t++) {
    if (!counts(input, t)) continue
    const lp = input.logprob[t]!
    const r = ratio ?? Math.exp(logRatios[t - start]!)
    surrogate(token, r, advantage, lp, phi)
    const mismatch = input.weight && settings.lossType !== 'vespo' ? input.weight[t]! : 1
    let value = mismatch * token.loss
    let viaRatio = mismatch * token.viaRatio
    let viaLogprob = mismatch * token.direct
    if (settings.beta > 0) {
      const gap = input.reference![t]! - lp
      const scale = settings.beta * (settings.useBiasCorrectionKl ? r : 1)
      const k3 = Math.exp(gap) - gap - 1
      value += scale * k3
      viaLogprob += scale * (1 - Math.exp(gap))
      if (settings.useBiasCorrectionKl) viaRatio += scale * k3
    }
    loss += weight * value
    if (ratio === null) direct[t - start] = weight * (viaLogprob + viaRatio)
    else {
      direct[t - start] = weight * viaLogprob
      shared += weight * viaRatio
    }
  }
  // At sequence level every token moves the one ratio, by 1 / counted each.
  const each = shared / Math.max(counted, 1)
  for (let t = start; t < end; t++) if (counts(input, t)) dLogprob[t] = direct[t - start]! + each
  return loss
}

function addMetrics(sums: LossSums, input: LossInput, settings: LossSettings, completion: Completion): void {
  const { start, end, counted, advantage, logRatios, ratio, phi } = completion
  const [low, high] = [1 - settings.epsilon, 1 + settings.epsilonHigh]
  const cap = settings.delta ?? Number.POSITIVE_INFINITY
  let [lowClipped, highClipped, cispoClipped] = [0, 0, 0]
  const look = (r: number) => {
    const bounded = Math.min(r, cap)
    if (bounded < low && advantage < 0) lowClipped++
    if (bounded > high && advantage > 0) highClipped++
    if (r > settings.epsilonHigh && advantage > 0) cispoClipped++
  }
  for (let t = start; t < end; t++) {
    if (!counts(input, t)) continue
    if (ratio === null) look(Math.exp(logRatios[t - start]!))
    if (settings.beta > 0) {
      const gap = input.reference![t]! - input.logprob[t]!
      const scale = settings.useBiasCorrectionKl ? (ratio ?? Math.exp(logRatios[t - start]!)) : 1
      sums.kl += scale * (Math.exp(gap) - gap - 1)
    }
    if (input.entropy) sums.entropy += input.entropy[t]!
  }
  if (ratio !== null) look(ratio)
  const ratios = ratio === null ? counted : 1
  sums.completions++
  sums.tokens += counted
  sums.ratios += ratios
  sums.lowClipped += lowClipped
  sums.highClipped += highClipped
  sums.cispoClipped += cispoClipped
  sums.phi += phi
  if (ratios > 0) {
    sums.lowMin = Math.min(sums.lowMin, lowClipped / ratios)
    sums.highMax = Math.max(sums.highMax, highClipped / ratios)
  }
}

function check(input: LossInput, settings: LossSettings): void {
  const tokens = input.logprob.length
  const completions = Math.max(input.offsets.length - 1, 0)
  const same = (name: string, got: number | undefined, expected: number) => {
    if (got !== undefined && got !== expected) {
      fail('RangeError', 'ERR_SHAPE', `[grpoLoss] expected ${name} of ${expected} elements, got ${got}`)
    }
  }
  same('tokens up to the last offset', completions > 0 ? input.offsets[completions] : 0, tokens)
  same('advantage', input.advantage.length, completions)
  for (const name of ['old', 'reference', 'mask', 'weight', 'entropy'] as const) same(name, input[name]?.length, tokens)
  if (settings.beta > 0 && !input.reference) {
    fail('Error', 'ERR_CONFIG', '[grpoLoss] expected reference log-probs because beta is above 0, got none')
  }
}
