// Plain attention in float64, written from the definition: softmax over the keys that a row sees.

export interface AttentionShape {
  heads: number
  kvHeads: number
  dim: number
  scale: number
}

/** q: [Tq, Hq, D], k and v: [Tk, Hkv, D] */
export interface AttentionInputs {
  q: Float64Array
  k: Float64Array
  v: Float64Array
}

/** What a low-precision implementation would store; the identity gives the exact result. */
type Round = (x: number) => number

/** A segment as the op table has it. */
export interface SegmentRow {
  queries: readonly [number, number]
  /** First own key, or -1. */
  firstKey: number
  causalOffset: number
  spans: readonly (readonly [number, number])[]
}

/** Segments from the tables of a call. */
export function segmentRows(segments: ArrayLike<number>, spans: ArrayLike<number>): SegmentRow[] {
  return Array.from({ length: segments.length / 6 }, (_, i) => {
    const [begin, end, firstKey, causalOffset, from, to] = Array.from({ length: 6 }, (_, c) => segments[i * 6 + c]!)
    const seen = Array.from({ length: to! - from! }, (_, s): [number, number] => {
      const at = (from! + s) * 2
      return [spans[at]!, spans[at + 1]!]
    })
    return { queries: [begin!, end!], firstKey: firstKey!, causalOffset: causalOffset!, spans: seen }
  })
}

/** Keys that each query row sees; a key twice where two of its ranges hold it. */
export function visibleKeys(segments: readonly SegmentRow[], queries: number): number[][] {
  const seen: number[][] = Array.from({ length: queries }, () => [])
  for (const { queries: q, firstKey, causalOffset, spans } of segments) {
    for (let t = q[0]; t < q[1]; t++) {
      for (const [begin, end] of spans) for (let j = begin; j < end; j++) seen[t]!.push(j)
      if (firstKey >= 0) for (let j = 0; j <= t - q[0] + causalOffset; j++) seen[t]!.push(firstKey + j)
    }
  }
  return seen
}

/** A row whose every score is -inf counts as one that sees nothing: 0 and lse -inf. `round` goes around p and out. */
export function attention(
  { q, k, v }: AttentionInputs,
  { heads, kvHeads, dim, scale }: AttentionShape,
  seen: readonly number[][],
  round: Round,
): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(q.length)
  const lse = new Float64Array(seen.length * heads).fill(Number.NEGATIVE_INFINITY)
  seen.forEach((keys, t) => {
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads)
      const row = (t * heads + h) * dim
      const scores = keys.map((j) => scale * dot(q, row, k, (j * kvHeads + kv) * dim, dim))
      const top = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
      if (top === Number.NEGATIVE_INFINITY) continue
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

export interface BackwardInputs extends AttentionInputs {
  out: Float64Array
  lse: Float64Array
  dOut: Float64Array
}

/** `round` goes around P, dS and the gradients. */
export function attentionBackward(
  { q, k, v, out, lse, dOut }: BackwardInputs,
  { heads, kvHeads, dim, scale }: AttentionShape,
  seen: readonly number[][],
  round: Round,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
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
        const weight = round(p)
        for (let d = 0; d < dim; d++) {
          dq[row + d]! += ds * k[key + d]!
          dk[key + d]! += ds * q[row + d]!
          dv[key + d]! += weight * dOut[row + d]!
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
