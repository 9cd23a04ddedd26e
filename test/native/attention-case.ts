import { attention, attentionBackward } from '../../lib/tensor/ops.generated.js'
import { type AttentionSegment, segmentTables } from '../../lib/tensor/segments.js'
import { type DType, empty, narrow, type Tensor, tensor, widen } from '../../lib/tensor/tensor.js'
import type { AttentionInputs, AttentionShape } from './reference/attention.js'

/** A named set of segments over key rows, with the head counts and sizes to try it with. */
export interface AttentionCase extends AttentionShape {
  name: string
  queries: number
  keys: number
  segments: AttentionSegment[]
}

export const causal = (rows: number, at = 0): AttentionSegment => ({
  queries: [at, at + rows],
  keys: [at, at + rows],
  causalOffset: 0,
  spans: [],
})

/** A prompt of `prefix` rows and completions that see it. */
export function group(prefix: number, completions: readonly number[], at = 0): AttentionSegment[] {
  let row = at + prefix
  return [
    ...(prefix > 0 ? [causal(prefix, at)] : []),
    ...completions.map((rows): AttentionSegment => {
      const begin = row
      row += rows
      return { ...causal(rows, begin), spans: [[at, at + prefix]] }
    }),
  ]
}

export function caseOf(
  name: string,
  segments: AttentionSegment[],
  [heads, kvHeads, dim]: readonly [number, number, number],
  sizes: { queries?: number; keys?: number } = {},
): AttentionCase {
  const queries = sizes.queries ?? Math.max(0, ...segments.map((s) => s.queries[1]))
  const keys =
    sizes.keys ?? Math.max(0, ...segments.flatMap((s) => [s.keys?.[1] ?? 0, ...s.spans.map((span) => span[1])]))
  return { name, segments, heads, kvHeads, dim, scale: 1 / Math.sqrt(dim), queries, keys }
}

/** Numbers in (-2, 2) that look normal enough, the same on every machine (mulberry32, sum of uniforms). */
export function noise(count: number, seed: number): Float32Array {
  let a = (seed * 2654435761) >>> 0
  const uniform = () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return Float32Array.from({ length: count }, () => uniform() + uniform() + uniform() + uniform() - 2)
}

export const roundTo = (dtype: DType) => (x: number) =>
  dtype === 'bf16' ? widen(narrow(Float32Array.of(x)))[0]! : Math.fround(x)

export interface CaseData extends AttentionInputs {
  dOut: Float64Array
}

/** Inputs as float64 that the dtype can hold. */
export function dataOf(c: AttentionCase, dtype: DType, seed = 1): CaseData {
  const make = (rows: number, heads: number, salt: number) => {
    const values = noise(rows * heads * c.dim, seed * 16 + salt)
    return Float64Array.from(dtype === 'bf16' ? widen(narrow(values)) : values)
  }
  return {
    q: make(c.queries, c.heads, 1),
    k: make(c.keys, c.kvHeads, 2),
    v: make(c.keys, c.kvHeads, 3),
    dOut: make(c.queries, c.heads, 4),
  }
}

/** Uploads rows; with `gap` > 0 as a view whose rows lie that many elements further apart. */
export function upload(data: Float64Array, shape: readonly [number, number, number], dtype: DType, gap = 0): Tensor {
  const [rows, heads, dim] = shape
  if (data.length === 0) return empty(shape, { device: 'cpu', dtype })
  if (gap === 0) return tensor(Float32Array.from(data), shape, { device: 'cpu', dtype })
  const width = heads * dim
  const wide = new Float32Array(rows * (width + gap)).fill(Number.NaN)
  for (let r = 0; r < rows; r++) wide.set(data.subarray(r * width, (r + 1) * width), r * (width + gap) + (gap >> 1))
  return tensor(wide, [rows * (width + gap)], { device: 'cpu', dtype }).view(shape, gap >> 1, width + gap)
}

export interface CaseResult {
  out: Float32Array
  lse: Float32Array
  dq: Float32Array
  dk: Float32Array
  dv: Float32Array
}

/** Forward and backward of a case; with `gap` every input and output is a strided view. */
export async function compute(c: AttentionCase, data: CaseData, dtype: DType, gap = 0): Promise<CaseResult> {
  const queryShape = [c.queries, c.heads, c.dim] as const
  const keyShape = [c.keys, c.kvHeads, c.dim] as const
  const q = upload(data.q, queryShape, dtype, gap)
  const k = upload(data.k, keyShape, dtype, gap)
  const v = upload(data.v, keyShape, dtype, gap)
  const dOut = upload(data.dOut, queryShape, dtype, gap)
  const given = (shape: readonly [number, number, number]) =>
    gap > 0 ? upload(new Float64Array(shape[0] * shape[1] * shape[2]), shape, dtype, gap) : undefined
  const { segments, spans } = segmentTables(c.segments, 'cpu')
  const { out, lse } = attention(q, k, v, segments, spans, { scale: c.scale, out: { out: given(queryShape) } })
  const { dq, dk, dv } = attentionBackward(q, k, v, out, lse, dOut, segments, spans, {
    scale: c.scale,
    out: { dq: given(queryShape), dk: given(keyShape), dv: given(keyShape) },
  })
  const [a, b, d, e, f] = await Promise.all([out, lse, dq, dk, dv].map((t) => t.toFloat32Array()))
  return { out: a!, lse: b!, dq: d!, dk: e!, dv: f! }
}
