import type { LossSettings, LossType } from './types.js'

/**
 * One token's policy loss and its derivatives.
 *
 * `viaRatio` is d loss / d log ratio, `direct` is d loss / d log-prob where the ratio is held constant.
 */
export interface TokenLoss {
  loss: number
  viaRatio: number
  direct: number
}

/** `ratio` is p / p_old of the token, or the completion's geometric mean at sequence level. Writes into `out`. */
export type Surrogate = (out: TokenLoss, ratio: number, advantage: number, logprob: number, phi: number) => void

/** The surrogate of each loss type; what differs beyond it is the averaging (`tokenWeight`). */
export function surrogateOf(settings: LossSettings): Surrogate {
  switch (settings.lossType) {
    case 'cispo':
      return cispo(settings)
    case 'sapo':
      return sapo(settings)
    case 'vespo':
      return vespo
    default:
      return clipped(settings)
  }
}

/**
 * PPO's clip (arXiv 1707.06347) with separate bounds (DAPO, 2503.14476) and an upper bound for the unclipped branch
 * (`delta`, INTELLECT-2, 2505.07291): -min(min(r, delta) A, clip(r, 1 - epsilon, 1 + epsilonHigh) A).
 *
 * Where both branches are equal each has half of the gradient, as a minimum has in autograd frameworks; a bound itself still
 * has gradient. The comparison is written so that NaN reaches the loss.
 */
function clipped({ epsilon, epsilonHigh, delta }: LossSettings): Surrogate {
  const [low, high, cap] = [1 - epsilon, 1 + epsilonHigh, delta ?? Number.POSITIVE_INFINITY]
  return (out, ratio, advantage) => {
    const open = Math.min(ratio, cap) * advantage
    const shut = Math.min(Math.max(ratio, low), high) * advantage
    const openSlope = ratio <= cap ? ratio * advantage : 0
    const shutSlope = ratio >= low && ratio <= high ? ratio * advantage : 0
    out.loss = -Math.min(open, shut)
    out.viaRatio = -(open < shut ? openSlope : open > shut ? shutSlope : (openSlope + shutSlope) / 2)
    out.direct = 0
  }
}

/** CISPO (arXiv 2506.13585): a capped ratio weighs REINFORCE's gradient and has none itself. `epsilonHigh` is the cap. */
function cispo({ epsilonHigh }: LossSettings): Surrogate {
  return (out, ratio, advantage, logprob) => {
    out.direct = -Math.min(ratio, epsilonHigh) * advantage
    out.loss = out.direct * logprob
    out.viaRatio = 0
  }
}

/** SAPO (arXiv 2511.20347): a sigmoid gate around ratio 1 in place of the clip, steeper for negative advantages. */
function sapo({ sapoTemperaturePos, sapoTemperatureNeg }: LossSettings): Surrogate {
  return (out, ratio, advantage) => {
    const temperature = advantage > 0 ? sapoTemperaturePos : sapoTemperatureNeg
    const gate = 1 / (1 + Math.exp(-temperature * (ratio - 1)))
    out.loss = -((4 * gate) / temperature) * advantage
    out.viaRatio = -4 * gate * (1 - gate) * ratio * advantage
    out.direct = 0
  }
}

/** VESPO: `phi` of the whole completion weighs REINFORCE's gradient and has none itself. */
const vespo: Surrogate = (out, _ratio, advantage, logprob, phi) => {
  out.direct = -phi * advantage
  out.loss = out.direct * logprob
  out.viaRatio = 0
}

/** ln 1e-8 and 20: the range to which VESPO keeps a log ratio. */
const logRatioRange = [Math.log(1e-8), 20] as const
const clampLog = (x: number) => Math.min(Math.max(x, logRatioRange[0]), logRatioRange[1])

/**
 * VESPO's weight of a completion: exp(lambda + k ln W - lambda W), which is 1 at W = 1. W is the completion's importance ratio, and
 * includes the mismatch weights. Not finite becomes 0.
 */
export function vespoPhi(settings: LossSettings, advantage: number, logRatios: number, logWeights: number): number {
  const k = advantage >= 0 ? settings.vespoKPos : settings.vespoKNeg
  const lambda = Math.max(advantage >= 0 ? settings.vespoLambdaPos : settings.vespoLambdaNeg, 1e-4)
  const logW = clampLog(logRatios + logWeights)
  const phi = Math.exp(lambda + k * logW - lambda * Math.exp(logW))
  return Number.isFinite(phi) ? phi : 0
}

/** Contributions to VESPO's log ratio, each kept in range before it is summed. */
export const vespoLogRatio = (logRatio: number) => Math.min(Math.max(logRatio, -20), 20)
export const vespoLogWeight = (weight: number) => clampLog(Math.log(weight))

/**
 * Weight of one token of a completion with `counted` loss tokens, over the whole update.
 *
 * grpo, sapo: mean of each completion, then of completions. bnpo, dapo, cispo, vespo: mean over all tokens. dr_grpo: sum over a
 * constant, the longest completion there could be. luspo: sum of each completion, mean of completions.
 */
export function tokenWeight(
  type: LossType,
  counted: number,
  totals: { completions: number; tokens: number },
  maxCompletionLength: number,
): number {
  switch (type) {
    case 'grpo':
    case 'sapo':
      return 1 / (totals.completions * Math.max(counted, 1))
    case 'dr_grpo':
      return 1 / (totals.completions * maxCompletionLength)
    case 'luspo':
      return 1 / totals.completions
    default:
      return 1 / Math.max(totals.tokens, 1)
  }
}
