import type { Call, Input, Round, Values } from '../row.js'
import { columnsOf, flipped, plain, product, rowsOf } from './matmul.js'

// Log-softmax of h W^T / temperature at the targets, with gradients, in float64.

interface Rows {
  z: Values
  logprob: Values
  lse: Values
  entropy: Values
}

const scaleOf = (temperature: number) => (temperature === 0 ? 1 : 1 / temperature)

function forwardOf(h: Input, w: Input, targets: Input, temperature: number, round: Round): Rows {
  const [t, v, d] = [rowsOf(h), rowsOf(w), columnsOf(w)]
  const z = product(plain(h), flipped(w), t, v, d).map((x) => round(x) * scaleOf(temperature))
  const rows = { z, logprob: new Float64Array(t), lse: new Float64Array(t), entropy: new Float64Array(t) }
  for (let r = 0; r < t; r++) {
    const row = z.subarray(r * v, (r + 1) * v)
    const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    let [sum, dot] = [0, 0]
    for (const x of row) {
      const e = Math.exp(x - max)
      sum += e
      dot += e === 0 ? 0 : e * (x - max)
    }
    rows.lse[r] = max + Math.log(sum)
    rows.logprob[r] = row[targets.values[r]!]! - max - Math.log(sum)
    rows.entropy[r] = Math.log(sum) - dot / sum
  }
  return rows
}

export function linearLogprob({ inputs, attrs }: Call, round: Round): Record<string, Values> {
  const { logprob, lse, entropy } = forwardOf(inputs.h!, inputs.w!, inputs.targets!, attrs.temperature!, round)
  return { logprob, lse, entropy }
}

export function linearLogprobBackward({ inputs, attrs }: Call, round: Round): Record<string, Values> {
  const { h, w, targets, lse, entropy, dLogprob, dEntropy, wTransposed, dw } = inputs
  const [t, v, d] = [rowsOf(h!), rowsOf(w!), columnsOf(w!)]
  const scale = scaleOf(attrs.temperature!)
  const z = product(plain(h!), flipped(w!), t, v, d).map((x) => round(x) * scale)
  const dz = new Float64Array(t * v)
  for (let r = 0; r < t; r++) {
    const [dl, de] = [dLogprob!.values[r]!, dEntropy?.values[r] ?? 0]
    if (dl === 0 && de === 0) continue
    for (let j = 0; j < v; j++) {
      const logp = z[r * v + j]! - lse!.values[r]!
      const p = Math.exp(logp)
      const slope = de === 0 || p === 0 ? 0 : de * (logp + entropy!.values[r]!)
      const dzj = j === targets!.values[r] ? dl * (1 - p) - p * slope : -p * (dl + slope)
      dz[r * v + j] = round(scale * dzj)
    }
  }
  // a row without upstream gradient stays 0 whatever its numbers are
  const active = Array.from({ length: t }, (_, r) => dLogprob!.values[r] !== 0 || (dEntropy?.values[r] ?? 0) !== 0)
  const gradient: Input = { shape: [t, v], values: dz }
  const dh = product(plain(gradient), plain(wTransposed ?? w!), t, d, v).map((x, i) =>
    active[Math.floor(i / d)] ? round(x) : 0,
  )
  if (!dw) return { dh }
  const rows: Input = { shape: [t, d], values: h!.values.map((x, i) => (active[Math.floor(i / d)] ? x : 0)) }
  const sum = product(flipped(gradient), plain(rows), v, d, t)
  return { dh, dw: sum.map((x, i) => x + dw.values[i]!) }
}

/** sum of dLogprob logprob + dEntropy entropy, as a function of h and w. */
export function upstreamLoss({ inputs, attrs }: Call): number {
  const { h, w, targets, dLogprob, dEntropy } = inputs
  const { logprob, entropy } = forwardOf(h!, w!, targets!, attrs.temperature!, (x) => x)
  let loss = 0
  for (let r = 0; r < logprob.length; r++) {
    loss += dLogprob!.values[r]! * logprob[r]! + (dEntropy ? dEntropy.values[r]! * entropy[r]! : 0)
  }
  return loss
}
