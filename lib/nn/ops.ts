import { type Tape, Variable } from '../tensor/autograd.js'
import {
  attentionBackward,
  attention as attentionOp,
  columnSum,
  copy,
  embeddingBackward,
  embedding as embeddingOp,
  fill,
  gatherRows as gatherRowsOp,
  linearBackwardInput,
  linearBackwardWeight,
  linear as linearOp,
  rmsNormBackward,
  rmsNorm as rmsNormOp,
  rope,
  scatterRows,
  swigluBackward,
  swiglu as swigluOp,
} from '../tensor/ops.generated.js'
import { empty, type Tensor } from '../tensor/tensor.js'
import type { DeviceBatch } from './batch-tensors.js'
import type { DecoderConfig } from './config.js'
import type { Param } from './params.js'

// Differentiable steps of a decoder. Each runs its kernel and, under a tape, records the kernel's backward; gradients
// of parameters are summed into their fp32 buffers. T: rows of the packed batch, D: hidden size.

/** Rows of the embedding: [T, D]. */
export function embedding(weight: Param, ids: Tensor, tape: Tape | null): Variable {
  const y = new Variable(embeddingOp(weight.plain!, ids))
  tape?.record([ids], () => y.withGrad((dy) => embeddingBackward(dy, ids, weight.grad!)))
  return y
}

/** y = x Wᵀ + b + residual: [T, N]. */
export function linear(
  x: Variable,
  weight: Param,
  { bias = null, residual = null }: { bias?: Param | null; residual?: Variable | null },
  tape: Tape | null,
): Variable {
  const options = { bias: bias?.plain ?? null, residual: residual?.value ?? null }
  const y = new Variable(linearOp(x.value, weight.forward!, options))
  tape?.record([x.value], () =>
    y.withGrad((dy) => {
      linearBackwardWeight(dy, x.value, weight.grad!)
      if (bias) columnSum(dy, bias.grad!)
      x.accumulate(linearBackwardInput(dy, weight.backward!))
      residual?.accumulate(dy)
    }),
  )
  return y
}

/** RMSNorm of x [T, D]. What already flows back to x, past the norm, is added to in the norm's backward. */
export function rmsNorm(x: Variable, weight: Param, eps: number, tape: Tape | null): Variable {
  const { y, rstd } = rmsNormOp(x.value, weight.plain!, { eps })
  const out = new Variable(y)
  tape?.record([x.value, rstd], () =>
    out.withGrad((dy) => {
      const through = (dSum: Tensor | null) =>
        x.accumulate(rmsNormBackward(dy, x.value, weight.plain!, rstd, { dw: weight.grad!, dSum }))
      if (!x.withGrad(through)) through(null)
    }),
  )
  return out
}

/** silu(gate) * up of a fused [T, 2F]: [T, F]. */
export function swiglu(gateUp: Variable, tape: Tape | null): Variable {
  const t = gateUp.value
  const width = t.shape[1]! / 2
  const y = new Variable(swigluOp(t.columns(0, width), t.columns(width, 2 * width)))
  tape?.record([t], () =>
    y.withGrad((dy) => {
      const d = empty(t.shape, { device: t.device, dtype: t.dtype })
      swigluBackward(dy, t.columns(0, width), t.columns(width, 2 * width), {
        out: { dGate: d.columns(0, width), dUp: d.columns(width, 2 * width) },
      })
      gateUp.accumulate(d)
    }),
  )
  return y
}

/** Views of a fused [T, (Hq + 2 Hkv) * headDim]: heads [from, from + count) as [T, count, headDim]. */
function headsOf(qkv: Tensor, from: number, count: number, headDim: number): Tensor {
  return qkv.view([qkv.shape[0]!, count, headDim], from * headDim, qkv.rowStride)
}

/** RMSNorm over each query and key head (Qwen3): [T, (Hq + 2 Hkv) * headDim] to the same shape, v copied. */
export function headNorm(
  qkv: Variable,
  qNorm: Param,
  kNorm: Param,
  config: DecoderConfig,
  tape: Tape | null,
): Variable {
  const { numHeads: hq, numKvHeads: hkv, headDim, rmsNormEps: eps } = config
  const t = qkv.value
  const like = () => empty(t.shape, { device: t.device, dtype: t.dtype })
  const parts = (x: Tensor) => ({
    q: headsOf(x, 0, hq, headDim),
    k: headsOf(x, hq, hkv, headDim),
    v: headsOf(x, hq + hkv, hkv, headDim),
  })
  const from = parts(t)
  const normed = like()
  const into = parts(normed)
  const q = rmsNormOp(from.q, qNorm.plain!, { eps, out: { y: into.q } })
  const k = rmsNormOp(from.k, kNorm.plain!, { eps, out: { y: into.k } })
  copy(from.v, into.v)
  const y = new Variable(normed)
  tape?.record([t, q.rstd, k.rstd], () =>
    y.withGrad((d) => {
      const x = parts(t)
      const dy = parts(d)
      const dt = like()
      const dx = parts(dt)
      rmsNormBackward(dy.q, x.q, qNorm.plain!, q.rstd, { dw: qNorm.grad!, out: { dx: dx.q } })
      rmsNormBackward(dy.k, x.k, kNorm.plain!, k.rstd, { dw: kNorm.grad!, out: { dx: dx.k } })
      copy(dy.v, dx.v)
      qkv.accumulate(dt)
    }),
  )
  return y
}

/**
 * Rotates q and k of a fused qkv in place, then attends: [T, (Hq + 2 Hkv) * headDim] to [T, Hq * headDim].
 * Rotating in place is safe because the projection's backward reads its input, never its output.
 */
export function ropeAttention(
  qkv: Variable,
  batch: DeviceBatch,
  table: Tensor,
  config: DecoderConfig,
  tape: Tape | null,
): Variable {
  const { numHeads: hq, numKvHeads: hkv, headDim } = config
  const scale = 1 / Math.sqrt(headDim)
  const rows = qkv.value.shape[0]!
  const split = (x: Tensor) =>
    [headsOf(x, 0, hq, headDim), headsOf(x, hq, hkv, headDim), headsOf(x, hq + hkv, hkv, headDim)] as const
  rope(headsOf(qkv.value, 0, hq + hkv, headDim), batch.positions, table)
  const { out, lse } = attentionOp(...split(qkv.value), batch.segments, batch.spans, { scale })
  const y = new Variable(out.reshape([rows, hq * headDim]))
  tape?.record([qkv.value, out, lse], () =>
    y.withGrad((dy) => {
      const d = empty(qkv.value.shape, { device: qkv.value.device, dtype: qkv.value.dtype })
      const [dq, dk, dv] = split(d)
      attentionBackward(...split(qkv.value), out, lse, dy.reshape([rows, hq, headDim]), batch.segments, batch.spans, {
        scale,
        out: { dq, dk, dv },
      })
      rope(headsOf(d, 0, hq + hkv, headDim), batch.positions, table, { inverse: true })
      qkv.accumulate(d)
    }),
  )
  return y
}

/** Rows of x by index; each row at most once, so the backward writes instead of adding. */
export function gatherRows(x: Variable, rows: Tensor, tape: Tape | null): Variable {
  const y = new Variable(gatherRowsOp(x.value, rows))
  const shape = x.value.shape
  tape?.record([rows], () =>
    y.withGrad((dy) => {
      const d = empty(shape, { device: dy.device, dtype: dy.dtype })
      fill(d, { value: 0 })
      scatterRows(dy, rows, d)
      x.accumulate(d)
    }),
  )
  return y
}
