import type { AttentionSegment } from '../../../lib/tensor/segments.js'

/** Plain attention in float64, written from the definition: softmax over the keys that a row sees. */

export interface AttentionShape {
  heads: number
  kvHeads: number
  dim: number
  scale: number
}

export interface AttentionInputs {
  q: Float64Array // [Tq, Hq, D]
  k: Float64Array // [Tk, Hkv, D]
  v: Float64Array // [Tk, Hkv, D]
}

/** Rounds what a low-precision implementation would store; the identity gives the exact result. */
export type Round = (x: number) => number
const exact: Round = (x) => x

/** Keys that each query row sees; a key twice when two of its ranges hold it. */
export function visibleKeys(segments: readonly AttentionSegment[], queries: number): number[][] {
  const seen: number[][] = Array.from({ length: queries }, () => [])
  for (const { queries: q, keys, causalOffset, spans } of segments) {
    for (let t = q[0]; t < q[1]; t++) {
      for (const [begin, end] of spans) for (let j = begin; j < end; j++) seen[t]!.push(j)
      if (keys) for (let j = 0; j <= t - q[0] + causalOffset; j++) seen[t]!.push(keys[0] + j)
    }
  }
  return seen
}

/** `round` is applied to weights and outputs, as plain bf16 code with fp32 accumulation does. */
export function attentionReference(
  { q, k, v }: AttentionInputs,
  { heads, kvHeads, dim, scale }: AttentionShape,
  seen: readonly number[][],
  round: Round = exact,
): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(q.length)
  const lse = new Float64Array(seen.length * heads).fill(Number.NEGATIVE_INFINITY)
  seen.forEach((keys, t) => {
    if (keys.length === 0) return
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads)
      const row = (t * heads + h) * dim
      const scores = keys.map((j) => scale * dot(q, row, k, (j * kvHeads + kv) * dim, dim))
      const top = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
      const weights = scores.map((s) => Math.exp(s - top))
      const sum = weights.reduce((a, b) => a + b, 0)
      lse[t * heads + h] = top + Math.log(sum)
      keys.forEach((j, i) => {
        const p = round(weights[i]!) / sum
        for (let d = 0; d < dim; d++) out[row + d]! += p * v[(j * kvHeads + kv) * dim + d]!
      })
      for (let d = 0; d < dim; d++) out[row + d] = round(out[row + d]!)
    }
  })
  return { out, lse }
}

export function attentionBackwardReference(
  { q, k, v }: AttentionInputs,
  dOut: Float64Array,
  { heads, kvHeads, dim, scale }: AttentionShape,
  seen: readonly number[][],
  round: Round = exact,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { out, lse } = attentionReference({ q, k, v }, { heads, kvHeads, dim, scale }, seen, round)
  const dq = new Float64Array(q.length)
  const dk = new Float64Array(k.length)
  const dv = new Float64Array(v.length)
  seen.forEach((keys, t) => {
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads)
      const row = (t * heads + h) * dim
      const delta = dot(out, row, dOut, row, dim)
      for (const j of keys) {
        const key = (j * kvHeads + kv) * dim
        const p = Math.exp(scale * dot(q, row, k, key, dim) - lse[t * heads + h]!)
        const ds = round(p * (dot(dOut, row, v, key, dim) - delta)) * scale
        const rounded = round(p)
        for (let d = 0; d < dim; d++) {
          dq[row + d]! += ds * k[key + d]!
          dk[key + d]! += ds * q[row + d]!
          dv[key + d]! += rounded * dOut[row + d]!
        }
      }
    }
  })
  return { dq: dq.map(round), dk: dk.map(round), dv: dv.map(round) }
}

function dot(a: Float64Array, at: number, b: Float64Array, bt: number, n: number): number {
  let sum = 0
  for (let d = 0; d < n; d++) sum += a[at + d]! * b[bt + d]!
  return sum
}
