import type { Call, Values } from '../row.js'

/** A token's policy loss, its derivative by the log ratio, and by the log-prob where the ratio is held. */
interface Terms {
  loss: number
  viaRatio: number
  direct: number
}

type Attrs = Call['attrs']

/** `ratio` moves with the log-prob; `held` is the same number as a constant. */
const surrogates: ((a: Attrs, ratio: number, held: number, advantage: number, lp: number, phi: number) => Terms)[] = [
  (a, ratio, _held, advantage) => {
    const [low, high] = [1 - a.epsilon!, 1 + a.epsilonHigh!]
    const open = Math.min(ratio, a.delta!) * advantage
    const shut = Math.min(Math.max(ratio, low), high) * advantage
    const slopes = [ratio <= a.delta! ? ratio * advantage : 0, ratio >= low && ratio <= high ? ratio * advantage : 0]
    const slope = open < shut ? slopes[0]! : open > shut ? slopes[1]! : (slopes[0]! + slopes[1]!) / 2
    return { loss: -Math.min(open, shut), viaRatio: -slope, direct: 0 }
  },
  (a, _ratio, held, advantage, lp) => {
    const direct = -Math.min(held, a.epsilonHigh!) * advantage
    return { loss: direct * lp, viaRatio: 0, direct }
  },
  (a, ratio, _held, advantage) => {
    const temperature = advantage > 0 ? a.sapoTemperaturePos! : a.sapoTemperatureNeg!
    const gate = 1 / (1 + Math.exp(-temperature * (ratio - 1)))
    const loss = -((4 * gate) / temperature) * advantage
    return { loss, viaRatio: -4 * gate * (1 - gate) * ratio * advantage, direct: 0 }
  },
  (_a, _ratio, _held, advantage, lp, phi) => ({ loss: -phi * advantage * lp, viaRatio: 0, direct: -phi * advantage }),
]
const vespo = 3

const sum = (x: number[]) => x.reduce((a, b) => a + b, 0)
const within = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high)
const kept = (x: number) => within(x, Math.log(1e-8), 20)

function vespoPhi(a: Attrs, advantage: number, logRatios: number[], weights: number[]): number {
  const k = advantage >= 0 ? a.vespoKPos! : a.vespoKNeg!
  const lambda = Math.max(advantage >= 0 ? a.vespoLambdaPos! : a.vespoLambdaNeg!, 1e-4)
  const log = kept(sum(logRatios.map((x) => within(x, -20, 20))) + sum(weights.map((w) => kept(Math.log(w)))))
  const phi = Math.exp(lambda + k * log - lambda * Math.exp(log))
  return Number.isFinite(phi) ? phi : 0
}

/** `held`: the log-probs of which constants are made, and `old` where there is none. */
function evaluate({ inputs, attrs: a }: Call, held: Values): { loss: number[]; dLogprob: number[]; stats: number[] } {
  const values = (name: string) => inputs[name]?.values
  const [lp, offsets, advantages] = [values('logprob')!, values('offsets')!, values('advantage')!]
  const [old, reference, mask, weight] = [values('old') ?? held, values('reference'), values('mask'), values('weight')]
  const loss: number[] = new Array(lp.length).fill(0)
  const dLogprob: number[] = new Array(lp.length).fill(0)
  const stats: number[] = []
  advantages.forEach((advantage, i) => {
    const all = Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, t) => offsets[i]! + t)
    const tokens = all.filter((t) => !mask || mask[t])
    const n = Math.max(tokens.length, 1)
    const weights = weight ? all.map((t) => weight[t]!) : []
    const logRatios = (x: Values) => tokens.map((t) => x[t]! - old[t]!)
    const ratios = (x: Values): number[] => {
      const logs = logRatios(x)
      return a.sequenceLevel ? logs.fill(sum(logs) / n).map(Math.exp) : logs.map(Math.exp)
    }
    const [now, constant] = [ratios(lp), ratios(held)]
    const phi = a.surrogate === vespo ? vespoPhi(a, advantage, logRatios(held), weights) : 1
    const scale = a.tokenWeight! / (a.completionMean ? n : 1)
    let [kl, shared] = [0, 0]
    tokens.forEach((t, k) => {
      const ratio = now[k]!
      const terms = surrogates[a.surrogate!]!(a, ratio, constant[k]!, advantage, lp[t]!, phi)
      const w = weight && a.surrogate !== vespo ? weight[t]! : 1
      let {
        loss: value,
        viaRatio,
        direct,
      } = { loss: w * terms.loss, viaRatio: w * terms.viaRatio, direct: w * terms.direct }
      if (a.beta! > 0) {
        const gap = reference![t]! - lp[t]!
        const k3 = (a.useBiasCorrectionKl ? ratio : 1) * (Math.exp(gap) - gap - 1)
        kl += k3
        value += a.beta! * k3
        direct += a.beta! * (a.useBiasCorrectionKl ? ratio : 1) * (1 - Math.exp(gap))
        if (a.useBiasCorrectionKl) viaRatio += a.beta! * k3
      }
      loss[t] = scale * value
      dLogprob[t] = scale * (a.sequenceLevel ? direct : direct + viaRatio)
      shared += scale * viaRatio
    })
    if (a.sequenceLevel) for (const t of tokens) dLogprob[t]! += shared / n
    const looked = a.sequenceLevel ? [now[0] ?? 1] : now
    const clipped = (test: (ratio: number) => boolean) => looked.filter(test).length
    const below = clipped((r) => Math.min(r, a.delta!) < 1 - a.epsilon! && advantage < 0)
    const above = clipped((r) => Math.min(r, a.delta!) > 1 + a.epsilonHigh! && advantage > 0)
    const overBound = clipped((r) => r > a.epsilonHigh! && advantage > 0)
    stats.push(sum(tokens.map((t) => loss[t]!)), tokens.length, kl, below, above, overBound, phi)
  })
  return { loss, dLogprob, stats }
}

/** The formulas of docs/architecture.md in float64; results as float32 stores them. */
export function grpoLoss(call: Call): Record<string, Values> {
  const stored = Object.entries(evaluate(call, call.inputs.logprob!.values)).map(([name, values]) => [
    name,
    Float64Array.from(values, Math.fround),
  ])
  return Object.fromEntries(stored)
}

/** The scalar whose derivative `dLogprob` is: constants stay those of the log-probs that were given. */
export function derivative(call: Call): { variables: Record<string, Values>; loss: () => number } {
  const logprob = call.inputs.logprob!.values
  const held = logprob.slice()
  return { variables: { dLogprob: logprob }, loss: () => sum(evaluate(call, held).loss) }
}
