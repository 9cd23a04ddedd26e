// Generated from native/ops by scripts/generate-ops.mjs; do not edit.
import { args, begin, checkOptions, id, number, optionalId, optionalNumber, result } from './call.js'
import { native } from './native.js'
import type { Tensor } from './tensor.js'

/**
 * Sum of two tensors, rounded once.
 *
 * @param a [T, ...] (f32 or bf16)
 * @param b like a (f32 or bf16)
 * @returns like a
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function add(
  a: Tensor,
  b: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { y?: Tensor }
  } = {},
): Tensor {
  const device = begin(a, 'add', 'a')
  checkOptions(options, 'add')
  args[1] = id(a, 'add', 'a')
  args[2] = id(b, 'add', 'b')
  args[3] = optionalId(options.out?.y, 'add', 'out.y')
  native.run(0)
  return result(0, device, options.out?.y)
}

/**
 * Sets every element.
 *
 * @param x any shape, written (f32 or bf16 or i32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function fill(
  x: Tensor,
  options: {
    /** the value; rounded to the dtype; default 0 */
    value?: number
  } = {},
): void {
  begin(x, 'fill', 'x')
  checkOptions(options, 'fill')
  args[1] = id(x, 'fill', 'x')
  args[2] = optionalNumber(options.value, 0, 'fill', 'value')
  native.run(1)
}

/**
 * Copies x into `into`, converting between f32 and bf16 (round to nearest even, NaN stays NaN).
 *
 * @param x [T, ...] (f32 or bf16 or i32)
 * @param into like x, written (f32 or bf16 or i32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function copy(
  x: Tensor,
  into: Tensor,
): void {
  begin(x, 'copy', 'x')
  args[1] = id(x, 'copy', 'x')
  args[2] = id(into, 'copy', 'into')
  native.run(2)
}

/**
 * Rows of x by index.
 *
 * @param x [T, ...] (f32 or bf16 or i32)
 * @param rows [R], each in [0, T) (i32)
 * @returns [R, ...]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function gatherRows(
  x: Tensor,
  rows: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { y?: Tensor }
  } = {},
): Tensor {
  const device = begin(x, 'gatherRows', 'x')
  checkOptions(options, 'gatherRows')
  args[1] = id(x, 'gatherRows', 'x')
  args[2] = id(rows, 'gatherRows', 'rows')
  args[3] = optionalId(options.out?.y, 'gatherRows', 'out.y')
  native.run(3)
  return result(0, device, options.out?.y)
}

/**
 * Writes the rows of x to rows of `into`; where an index repeats, the last one wins.
 *
 * @param x [R, ...] (f32 or bf16 or i32)
 * @param rows [R], each in [0, T) (i32)
 * @param into [T, ...], written (f32 or bf16 or i32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function scatterRows(
  x: Tensor,
  rows: Tensor,
  into: Tensor,
): void {
  begin(x, 'scatterRows', 'x')
  args[1] = id(x, 'scatterRows', 'x')
  args[2] = id(rows, 'scatterRows', 'rows')
  args[3] = id(into, 'scatterRows', 'into')
  native.run(4)
}

/**
 * RMSNorm over the last dimension, after adding a residual if one is given: s = x + residual, y = s / sqrt(mean(s^2) + eps) * w. Statistics are taken in fp32 from the rounded sum.
 *
 * @param x [T, D] or [T, H, D] (f32 or bf16)
 * @param w [D] (f32 or bf16)
 * @returns y: like x; rstd: 1 / rms of each row, f32 [T] or [T * H]; sum: x + residual, like x; absent without a residual
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function rmsNorm(
  x: Tensor,
  w: Tensor,
  options: {
    /** like x (f32 or bf16) */
    residual?: Tensor | null
    /** added to the mean square; default 0.000001 */
    eps?: number
    /** Tensors to write instead of new ones. */
    out?: { y?: Tensor; rstd?: Tensor; sum?: Tensor }
  } = {},
): { y: Tensor; rstd: Tensor; sum: Tensor } {
  const device = begin(x, 'rmsNorm', 'x')
  checkOptions(options, 'rmsNorm')
  args[1] = id(x, 'rmsNorm', 'x')
  args[2] = id(w, 'rmsNorm', 'w')
  args[3] = optionalId(options.residual, 'rmsNorm', 'residual')
  args[4] = optionalNumber(options.eps, 0.000001, 'rmsNorm', 'eps')
  args[5] = optionalId(options.out?.y, 'rmsNorm', 'out.y')
  args[6] = optionalId(options.out?.rstd, 'rmsNorm', 'out.rstd')
  args[7] = optionalId(options.out?.sum, 'rmsNorm', 'out.sum')
  native.run(5)
  return {
    y: result(0, device, options.out?.y),
    rstd: result(1, device, options.out?.rstd),
    sum: result(2, device, options.out?.sum),
  }
}

/**
 * Gradient of rmsNorm: dx = rstd * (w dy - s rstd^2 mean(s w dy)) + dSum, which is the gradient of x and of the residual. dw gains the sum over rows of dy s rstd.
 *
 * @param dy [T, D] or [T, H, D] (f32 or bf16)
 * @param s what was normalised: x, or the forward's sum (f32 or bf16)
 * @param w [D] (f32 or bf16)
 * @param rstd the forward's, [T] or [T * H] (f32)
 * @returns like dy
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function rmsNormBackward(
  dy: Tensor,
  s: Tensor,
  w: Tensor,
  rstd: Tensor,
  options: {
    /** [D], accumulated into, in an order that threads do not change (f32) */
    dw?: Tensor | null
    /** gradient that reaches the sum directly, like dy (f32 or bf16) */
    dSum?: Tensor | null
    /** Tensors to write instead of new ones. */
    out?: { dx?: Tensor }
  } = {},
): Tensor {
  const device = begin(dy, 'rmsNormBackward', 'dy')
  checkOptions(options, 'rmsNormBackward')
  args[1] = id(dy, 'rmsNormBackward', 'dy')
  args[2] = id(s, 'rmsNormBackward', 's')
  args[3] = id(w, 'rmsNormBackward', 'w')
  args[4] = id(rstd, 'rmsNormBackward', 'rstd')
  args[5] = optionalId(options.dw, 'rmsNormBackward', 'dw')
  args[6] = optionalId(options.dSum, 'rmsNormBackward', 'dSum')
  args[7] = optionalId(options.out?.dx, 'rmsNormBackward', 'out.dx')
  native.run(6)
  return result(0, device, options.out?.dx)
}

/**
 * y = gate / (1 + exp(-gate)) * up, computed in fp32 and rounded once.
 *
 * @param gate [T, F] (f32 or bf16)
 * @param up like gate (f32 or bf16)
 * @returns like gate
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function swiglu(
  gate: Tensor,
  up: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { y?: Tensor }
  } = {},
): Tensor {
  const device = begin(gate, 'swiglu', 'gate')
  checkOptions(options, 'swiglu')
  args[1] = id(gate, 'swiglu', 'gate')
  args[2] = id(up, 'swiglu', 'up')
  args[3] = optionalId(options.out?.y, 'swiglu', 'out.y')
  native.run(7)
  return result(0, device, options.out?.y)
}

/**
 * Gradient of swiglu. The outputs may be the halves of one [T, 2 F] buffer, and may be gate and up.
 *
 * @param dy [T, F] (f32 or bf16)
 * @param gate like dy (f32 or bf16)
 * @param up like dy (f32 or bf16)
 * @returns dGate: like dy; dUp: like dy
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function swigluBackward(
  dy: Tensor,
  gate: Tensor,
  up: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { dGate?: Tensor; dUp?: Tensor }
  } = {},
): { dGate: Tensor; dUp: Tensor } {
  const device = begin(dy, 'swigluBackward', 'dy')
  checkOptions(options, 'swigluBackward')
  args[1] = id(dy, 'swigluBackward', 'dy')
  args[2] = id(gate, 'swigluBackward', 'gate')
  args[3] = id(up, 'swigluBackward', 'up')
  args[4] = optionalId(options.out?.dGate, 'swigluBackward', 'out.dGate')
  args[5] = optionalId(options.out?.dUp, 'swigluBackward', 'out.dUp')
  native.run(8)
  return {
    dGate: result(0, device, options.out?.dGate),
    dUp: result(1, device, options.out?.dUp),
  }
}

/**
 * cos and sin of position times inverse frequency, from float64: row p holds D/2 cosines, then D/2 sines. Frequencies come in two parts (high + low), since an f32 one is off by a radian's hundredth at position 131072.
 *
 * @param inverseFrequencies [2, D / 2]: f rounded to f32, then f minus that (f32)
 * @returns f32 [positions, D]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function ropeTable(
  inverseFrequencies: Tensor,
  options: {
    /** rows of the table: positions 0 to positions - 1 */
    positions: number
    /** Tensors to write instead of new ones. */
    out?: { table?: Tensor }
  },
): Tensor {
  const device = begin(inverseFrequencies, 'ropeTable', 'inverseFrequencies')
  checkOptions(options, 'ropeTable')
  args[1] = id(inverseFrequencies, 'ropeTable', 'inverseFrequencies')
  args[2] = number(options.positions, 'ropeTable', 'positions')
  args[3] = optionalId(options.out?.table, 'ropeTable', 'out.table')
  native.run(9)
  return result(0, device, options.out?.table)
}

/**
 * Rotates pairs (x[j], x[j + D/2]) of every head in place by the angle of the row's position; inverse rotates back, which is the gradient.
 *
 * @param x [T, H, D] (f32 or bf16, in place)
 * @param positions [T], each in [0, P) (i32)
 * @param table [P, D], from ropeTable (f32)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function rope(
  x: Tensor,
  positions: Tensor,
  table: Tensor,
  options: {
    /** rotate by minus the angle; default 0 */
    inverse?: boolean
  } = {},
): void {
  begin(x, 'rope', 'x')
  checkOptions(options, 'rope')
  args[1] = id(x, 'rope', 'x')
  args[2] = id(positions, 'rope', 'positions')
  args[3] = id(table, 'rope', 'table')
  args[4] = options.inverse ? 1 : options.inverse === undefined ? 0 : 0
  native.run(10)
}

/**
 * Rows of a table by token id.
 *
 * @param w [V, D] (f32 or bf16)
 * @param ids [T], each in [0, V) (i32)
 * @returns [T, D], dtype of w
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function embedding(
  w: Tensor,
  ids: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { y?: Tensor }
  } = {},
): Tensor {
  const device = begin(w, 'embedding', 'w')
  checkOptions(options, 'embedding')
  args[1] = id(w, 'embedding', 'w')
  args[2] = id(ids, 'embedding', 'ids')
  args[3] = optionalId(options.out?.y, 'embedding', 'out.y')
  native.run(11)
  return result(0, device, options.out?.y)
}

/**
 * Adds each row of dy to the row of dw that its id names; repeated ids add up in the order of the rows.
 *
 * @param dy [T, D] (f32 or bf16)
 * @param ids [T], each in [0, V) (i32)
 * @param dw [V, D], accumulated into (f32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function embeddingBackward(
  dy: Tensor,
  ids: Tensor,
  dw: Tensor,
): void {
  begin(dy, 'embeddingBackward', 'dy')
  args[1] = id(dy, 'embeddingBackward', 'dy')
  args[2] = id(ids, 'embeddingBackward', 'ids')
  args[3] = id(dw, 'embeddingBackward', 'dw')
  native.run(12)
}

/**
 * Sum of squares in float64 and in an order that threads do not change; NaN and infinity come through.
 *
 * @param x any shape (f32 or bf16)
 * @param into [1], written (f32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function sumSquares(
  x: Tensor,
  into: Tensor,
  options: {
    /** add to `into` instead of overwriting it; default 0 */
    accumulate?: boolean
  } = {},
): void {
  begin(x, 'sumSquares', 'x')
  checkOptions(options, 'sumSquares')
  args[1] = id(x, 'sumSquares', 'x')
  args[2] = id(into, 'sumSquares', 'into')
  args[3] = options.accumulate ? 1 : options.accumulate === undefined ? 0 : 0
  native.run(13)
}

/**
 * Norm and the factor that clips it, by torch.nn.utils.clip_grad_norm_'s formula: min(1, maxNorm / (norm + 1e-6)). A norm that is not finite makes the scale NaN, on which adamw changes nothing.
 *
 * @param sumSquares [1] (f32)
 * @returns norm: f32 [1], before clipping; scale: f32 [1]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function clipScale(
  sumSquares: Tensor,
  options: {
    /** Infinity clips nothing */
    maxNorm: number
    /** Tensors to write instead of new ones. */
    out?: { norm?: Tensor; scale?: Tensor }
  },
): { norm: Tensor; scale: Tensor } {
  const device = begin(sumSquares, 'clipScale', 'sumSquares')
  checkOptions(options, 'clipScale')
  args[1] = id(sumSquares, 'clipScale', 'sumSquares')
  args[2] = number(options.maxNorm, 'clipScale', 'maxNorm')
  args[3] = optionalId(options.out?.norm, 'clipScale', 'out.norm')
  args[4] = optionalId(options.out?.scale, 'clipScale', 'out.scale')
  native.run(14)
  return {
    norm: result(0, device, options.out?.norm),
    scale: result(1, device, options.out?.scale),
  }
}

/**
 * Multiplies every element by a factor that lies on the device.
 *
 * @param x any shape (f32 or bf16, in place)
 * @param by [1] (f32)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function scale(
  x: Tensor,
  by: Tensor,
): void {
  begin(x, 'scale', 'x')
  args[1] = id(x, 'scale', 'x')
  args[2] = id(by, 'scale', 'by')
  native.run(15)
}

/**
 * One AdamW step with torch.optim.AdamW's arithmetic, in place. Nothing changes when gradScale is NaN or infinite, as clipScale makes it for a gradient that is not finite.
 *
 * @param param master weights, any shape (f32, in place)
 * @param m first moment, like param (f32, in place)
 * @param v second moment, like param (f32, in place)
 * @param grad like param (f32)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function adamw(
  param: Tensor,
  m: Tensor,
  v: Tensor,
  grad: Tensor,
  options: {
    /** [1], multiplies the gradient (f32) */
    gradScale?: Tensor | null
    /** like param, receives the new weights rounded (bf16) */
    compute?: Tensor | null
    /** learning rate */
    lr: number
    /** decay of the first moment; default 0.9 */
    beta1?: number
    /** decay of the second moment; default 0.999 */
    beta2?: number
    /** added to the root of the second moment; default 1e-8 */
    eps?: number
    /** decoupled: weights shrink by lr * weightDecay first; default 0 */
    weightDecay?: number
    /** number of this step, from 1 */
    step: number
  },
): void {
  begin(param, 'adamw', 'param')
  checkOptions(options, 'adamw')
  args[1] = id(param, 'adamw', 'param')
  args[2] = id(m, 'adamw', 'm')
  args[3] = id(v, 'adamw', 'v')
  args[4] = id(grad, 'adamw', 'grad')
  args[5] = optionalId(options.gradScale, 'adamw', 'gradScale')
  args[6] = optionalId(options.compute, 'adamw', 'compute')
  args[7] = number(options.lr, 'adamw', 'lr')
  args[8] = optionalNumber(options.beta1, 0.9, 'adamw', 'beta1')
  args[9] = optionalNumber(options.beta2, 0.999, 'adamw', 'beta2')
  args[10] = optionalNumber(options.eps, 1e-8, 'adamw', 'eps')
  args[11] = optionalNumber(options.weightDecay, 0, 'adamw', 'weightDecay')
  args[12] = number(options.step, 'adamw', 'step')
  native.run(16)
}

/**
 * A weight in the layout that the device's GEMM reads fastest. Packing the fp32 master rounds once, to the same bits as packing a bf16 copy of it.
 *
 * @param w [N, K] (f32 or bf16)
 * @returns [N, K], packed
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function packWeight(
  w: Tensor,
  options: {
    /** packed for linearBackwardInput, not for linear; default 0 */
    transposed?: boolean
    /** packed as bf16 where w is f32; default 0 */
    bf16?: boolean
    /** Tensors to write instead of new ones. */
    out?: { packed?: Tensor }
  } = {},
): Tensor {
  const device = begin(w, 'packWeight', 'w')
  checkOptions(options, 'packWeight')
  args[1] = id(w, 'packWeight', 'w')
  args[2] = options.transposed ? 1 : options.transposed === undefined ? 0 : 0
  args[3] = options.bf16 ? 1 : options.bf16 === undefined ? 0 : 0
  args[4] = optionalId(options.out?.packed, 'packWeight', 'out.packed')
  native.run(17)
  return result(0, device, options.out?.packed)
}

/**
 * y = x W^T + b + residual, summed in fp32 in this order and rounded once. A row of y does not depend on how many rows x has, nor on whether w is packed. y may be the residual.
 *
 * @param x [T, K] (or more dimensions whose trailing sizes make K) (f32 or bf16)
 * @param w [N, K], plain or packed (f32 or bf16)
 * @returns [T, N], of x's dtype or f32
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function linear(
  x: Tensor,
  w: Tensor,
  options: {
    /** [N] (f32 or bf16) */
    bias?: Tensor | null
    /** [T, N], of x's dtype (f32 or bf16) */
    residual?: Tensor | null
    /** y in fp32 whatever x's dtype (logits); default 0 */
    f32Output?: boolean
    /** Tensors to write instead of new ones. */
    out?: { y?: Tensor }
  } = {},
): Tensor {
  const device = begin(x, 'linear', 'x')
  checkOptions(options, 'linear')
  args[1] = id(x, 'linear', 'x')
  args[2] = id(w, 'linear', 'w')
  args[3] = optionalId(options.bias, 'linear', 'bias')
  args[4] = optionalId(options.residual, 'linear', 'residual')
  args[5] = options.f32Output ? 1 : options.f32Output === undefined ? 0 : 0
  args[6] = optionalId(options.out?.y, 'linear', 'out.y')
  native.run(18)
  return result(0, device, options.out?.y)
}

/**
 * dx = dy W, the gradient of linear with respect to x.
 *
 * @param dy [T, N] (f32 or bf16)
 * @param w [N, K], plain or packed with transposed (f32 or bf16)
 * @returns [T, K]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function linearBackwardInput(
  dy: Tensor,
  w: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { dx?: Tensor }
  } = {},
): Tensor {
  const device = begin(dy, 'linearBackwardInput', 'dy')
  checkOptions(options, 'linearBackwardInput')
  args[1] = id(dy, 'linearBackwardInput', 'dy')
  args[2] = id(w, 'linearBackwardInput', 'w')
  args[3] = optionalId(options.out?.dx, 'linearBackwardInput', 'out.dx')
  native.run(19)
  return result(0, device, options.out?.dx)
}

/**
 * dw += dy^T x, the gradient of linear with respect to w, summed over rows in fp32.
 *
 * @param dy [T, N] (f32 or bf16)
 * @param x [T, K] (f32 or bf16)
 * @param dw [N, K], added to (f32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function linearBackwardWeight(
  dy: Tensor,
  x: Tensor,
  dw: Tensor,
): void {
  begin(dy, 'linearBackwardWeight', 'dy')
  args[1] = id(dy, 'linearBackwardWeight', 'dy')
  args[2] = id(x, 'linearBackwardWeight', 'x')
  args[3] = id(dw, 'linearBackwardWeight', 'dw')
  native.run(20)
}

/**
 * into += the sum of x over its rows (the gradient of a bias).
 *
 * @param x [T, N] (f32 or bf16)
 * @param into [N], added to (f32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function columnSum(
  x: Tensor,
  into: Tensor,
): void {
  begin(x, 'columnSum', 'x')
  args[1] = id(x, 'columnSum', 'x')
  args[2] = id(into, 'columnSum', 'into')
  native.run(21)
}

/**
 * c = a b, either operand transposed first on request; summed in fp32 and rounded once. An inner size of 0 gives zeros.
 *
 * @param a [M, K], or [K, M] with transA (f32 or bf16)
 * @param b [K, N], or [N, K] with transB (f32 or bf16)
 * @returns [M, N]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  options: {
    /** a is given transposed; default 0 */
    transA?: boolean
    /** b is given transposed; default 0 */
    transB?: boolean
    /** Tensors to write instead of new ones. */
    out?: { c?: Tensor }
  } = {},
): Tensor {
  const device = begin(a, 'matmul', 'a')
  checkOptions(options, 'matmul')
  args[1] = id(a, 'matmul', 'a')
  args[2] = id(b, 'matmul', 'b')
  args[3] = options.transA ? 1 : options.transA === undefined ? 0 : 0
  args[4] = options.transB ? 1 : options.transB === undefined ? 0 : 0
  args[5] = optionalId(options.out?.c, 'matmul', 'out.c')
  native.run(22)
  return result(0, device, options.out?.c)
}

/**
 * Log-softmax(h W^T / temperature) at each row's target, the row's log-sum-exp and its entropy, without ever holding a batch of logits. Temperature 0 counts as 1.
 *
 * @param h [T, D], hidden rows (f32 or bf16)
 * @param w [V, D], plain or packed (f32 or bf16)
 * @param targets [T], each in [0, V) (i32)
 * @returns logprob: [T] f32, log p(target); lse: [T] f32, log-sum-exp of logits / temperature; entropy: [T] f32, of the whole distribution, in nats
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function linearLogprob(
  h: Tensor,
  w: Tensor,
  targets: Tensor,
  options: {
    /** divides the logits; default 1 */
    temperature?: number
    /** Tensors to write instead of new ones. */
    out?: { logprob?: Tensor; lse?: Tensor; entropy?: Tensor }
  } = {},
): { logprob: Tensor; lse: Tensor; entropy: Tensor } {
  const device = begin(h, 'linearLogprob', 'h')
  checkOptions(options, 'linearLogprob')
  args[1] = id(h, 'linearLogprob', 'h')
  args[2] = id(w, 'linearLogprob', 'w')
  args[3] = id(targets, 'linearLogprob', 'targets')
  args[4] = optionalNumber(options.temperature, 1, 'linearLogprob', 'temperature')
  args[5] = optionalId(options.out?.logprob, 'linearLogprob', 'out.logprob')
  args[6] = optionalId(options.out?.lse, 'linearLogprob', 'out.lse')
  args[7] = optionalId(options.out?.entropy, 'linearLogprob', 'out.entropy')
  native.run(23)
  return {
    logprob: result(0, device, options.out?.logprob),
    lse: result(1, device, options.out?.lse),
    entropy: result(2, device, options.out?.entropy),
  }
}

/**
 * Gradients of linearLogprob from those of logprob and entropy; logits are recomputed. Rows whose upstream gradients are both zero are left out and get dh = 0.
 *
 * @param h [T, D] (f32 or bf16)
 * @param w [V, D], plain or packed (f32 or bf16)
 * @param targets [T] (i32)
 * @param lse [T], of linearLogprob (f32)
 * @param entropy [T], of linearLogprob (f32)
 * @param dLogprob [T] (f32)
 * @returns [T, D] of h's dtype
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function linearLogprobBackward(
  h: Tensor,
  w: Tensor,
  targets: Tensor,
  lse: Tensor,
  entropy: Tensor,
  dLogprob: Tensor,
  options: {
    /** [T] (f32) */
    dEntropy?: Tensor | null
    /** [V, D], packed with transposed or plain; needed when w is packed (f32 or bf16) */
    wTransposed?: Tensor | null
    /** [V, D], added to; left out for a frozen head (f32) */
    dw?: Tensor | null
    /** as in linearLogprob; default 1 */
    temperature?: number
    /** Tensors to write instead of new ones. */
    out?: { dh?: Tensor }
  } = {},
): Tensor {
  const device = begin(h, 'linearLogprobBackward', 'h')
  checkOptions(options, 'linearLogprobBackward')
  args[1] = id(h, 'linearLogprobBackward', 'h')
  args[2] = id(w, 'linearLogprobBackward', 'w')
  args[3] = id(targets, 'linearLogprobBackward', 'targets')
  args[4] = id(lse, 'linearLogprobBackward', 'lse')
  args[5] = id(entropy, 'linearLogprobBackward', 'entropy')
  args[6] = id(dLogprob, 'linearLogprobBackward', 'dLogprob')
  args[7] = optionalId(options.dEntropy, 'linearLogprobBackward', 'dEntropy')
  args[8] = optionalId(options.wTransposed, 'linearLogprobBackward', 'wTransposed')
  args[9] = optionalId(options.dw, 'linearLogprobBackward', 'dw')
  args[10] = optionalNumber(options.temperature, 1, 'linearLogprobBackward', 'temperature')
  args[11] = optionalId(options.out?.dh, 'linearLogprobBackward', 'out.dh')
  native.run(24)
  return result(0, device, options.out?.dh)
}

/**
 * Every GRPO loss and its gradient from per-token log-probs. Completion i owns tokens [offsets[i], offsets[i + 1]). Arithmetic in float64; a completion's results depend on its own tokens and tokenWeight only, so the parts of an update that was cut between completions have the bits of the whole. NaN in a token that counts reaches its loss; what a masked token holds is ignored, but for vespo's weight.
 *
 * @param logprob [T], under the weights that are being updated (f32)
 * @param offsets [S + 1], rising from 0 to T; completions may be empty (i32)
 * @param advantage [S] (f32)
 * @returns loss: [T] f32, each token's part of the loss, 0 where masked; their sum is the loss; dLogprob: [T] f32, d loss / d logprob, 0 where masked; stats: [S, 7] f32, of each completion: loss, tokens that count, sum of KL, ratios clipped below, ratios clipped above, ratios over cispo's bound, vespo's weight
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function grpoLoss(
  logprob: Tensor,
  offsets: Tensor,
  advantage: Tensor,
  options: {
    /** [T], under the weights that drew the completions; default: logprob itself, every ratio is 1 (f32) */
    old?: Tensor | null
    /** [T], under the frozen reference; needed for beta > 0 (f32) */
    reference?: Tensor | null
    /** [T], 0 takes a token out (u8) */
    mask?: Tensor | null
    /** [T], correction for the mismatch of sampler and trainer, 1 at masked tokens (f32) */
    weight?: Tensor | null
    /** what each token counts for: 1 over the tokens, or completions, of the whole update */
    tokenWeight: number
    /** 0 clip, 1 cispo, 2 sapo, 3 vespo; default 0 */
    surrogate?: number
    /** divide tokenWeight by the completion's tokens; default 0 */
    completionMean?: boolean
    /** one importance ratio a completion: the geometric mean of its tokens'; default 0 */
    sequenceLevel?: boolean
    /** ratios are clipped at 1 - epsilon; default 0.2 */
    epsilon?: number
    /** ratios are clipped at 1 + epsilonHigh; for cispo the bound itself; default 0.2 */
    epsilonHigh?: number
    /** bound on the ratio of the unclipped branch; default Infinity */
    delta?: number
    /** weight of k3 = exp(reference - logprob) - ... - 1; default 0 */
    beta?: number
    /** multiply k3 by the importance ratio; default 1 */
    useBiasCorrectionKl?: boolean
    /** for advantages above 0; default 1 */
    sapoTemperaturePos?: number
    /** for the others; default 1.05 */
    sapoTemperatureNeg?: number
    /** for advantages of at least 0; default 2 */
    vespoKPos?: number
    /** for advantages of at least 0; default 3 */
    vespoLambdaPos?: number
    /** for the others; default 3 */
    vespoKNeg?: number
    /** for the others; default 2 */
    vespoLambdaNeg?: number
    /** Tensors to write instead of new ones. */
    out?: { loss?: Tensor; dLogprob?: Tensor; stats?: Tensor }
  },
): { loss: Tensor; dLogprob: Tensor; stats: Tensor } {
  const device = begin(logprob, 'grpoLoss', 'logprob')
  checkOptions(options, 'grpoLoss')
  args[1] = id(logprob, 'grpoLoss', 'logprob')
  args[2] = id(offsets, 'grpoLoss', 'offsets')
  args[3] = id(advantage, 'grpoLoss', 'advantage')
  args[4] = optionalId(options.old, 'grpoLoss', 'old')
  args[5] = optionalId(options.reference, 'grpoLoss', 'reference')
  args[6] = optionalId(options.mask, 'grpoLoss', 'mask')
  args[7] = optionalId(options.weight, 'grpoLoss', 'weight')
  args[8] = number(options.tokenWeight, 'grpoLoss', 'tokenWeight')
  args[9] = optionalNumber(options.surrogate, 0, 'grpoLoss', 'surrogate')
  args[10] = options.completionMean ? 1 : options.completionMean === undefined ? 0 : 0
  args[11] = options.sequenceLevel ? 1 : options.sequenceLevel === undefined ? 0 : 0
  args[12] = optionalNumber(options.epsilon, 0.2, 'grpoLoss', 'epsilon')
  args[13] = optionalNumber(options.epsilonHigh, 0.2, 'grpoLoss', 'epsilonHigh')
  args[14] = optionalNumber(options.delta, Infinity, 'grpoLoss', 'delta')
  args[15] = optionalNumber(options.beta, 0, 'grpoLoss', 'beta')
  args[16] = options.useBiasCorrectionKl ? 1 : options.useBiasCorrectionKl === undefined ? 1 : 0
  args[17] = optionalNumber(options.sapoTemperaturePos, 1, 'grpoLoss', 'sapoTemperaturePos')
  args[18] = optionalNumber(options.sapoTemperatureNeg, 1.05, 'grpoLoss', 'sapoTemperatureNeg')
  args[19] = optionalNumber(options.vespoKPos, 2, 'grpoLoss', 'vespoKPos')
  args[20] = optionalNumber(options.vespoLambdaPos, 3, 'grpoLoss', 'vespoLambdaPos')
  args[21] = optionalNumber(options.vespoKNeg, 3, 'grpoLoss', 'vespoKNeg')
  args[22] = optionalNumber(options.vespoLambdaNeg, 2, 'grpoLoss', 'vespoLambdaNeg')
  args[23] = optionalId(options.out?.loss, 'grpoLoss', 'out.loss')
  args[24] = optionalId(options.out?.dLogprob, 'grpoLoss', 'out.dLogprob')
  args[25] = optionalId(options.out?.stats, 'grpoLoss', 'out.stats')
  native.run(25)
  return {
    loss: result(0, device, options.out?.loss),
    dLogprob: result(1, device, options.out?.dLogprob),
    stats: result(2, device, options.out?.stats),
  }
}

/**
 * Draws a token per row by inverse CDF from one Philox uniform, after temperature, topK, topP and minP in this order (equal probabilities rank by lower index; topP keeps the shortest ranked prefix whose mass reaches it; minP is relative to the largest probability). Temperature 0 takes the largest logit, the lowest index of equals. A row with a NaN, with +inf, or with nothing finite is an error.
 *
 * @param logits [B, V] (f32)
 * @param keys [B, 4]: two words of the seed, then two that tell rows apart (prompt, sample) (i32)
 * @param positions [B], the token's position: a draw depends on (key, position) only (i32)
 * @returns token: [B] i32; logprob: [B] f32, log-softmax(logits / temperature) of the token before any filter (temperature 0: of temperature 1), bit for bit linearLogprob's
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function sample(
  logits: Tensor,
  keys: Tensor,
  positions: Tensor,
  options: {
    /** divides the logits; 0 is greedy; default 1 */
    temperature?: number
    /** keep the K most probable tokens; 0 keeps all; default 0 */
    topK?: number
    /** keep the smallest set of this mass; default 1 */
    topP?: number
    /** keep tokens of at least this share of the largest probability; default 0 */
    minP?: number
    /** Tensors to write instead of new ones. */
    out?: { token?: Tensor; logprob?: Tensor }
  } = {},
): { token: Tensor; logprob: Tensor } {
  const device = begin(logits, 'sample', 'logits')
  checkOptions(options, 'sample')
  args[1] = id(logits, 'sample', 'logits')
  args[2] = id(keys, 'sample', 'keys')
  args[3] = id(positions, 'sample', 'positions')
  args[4] = optionalNumber(options.temperature, 1, 'sample', 'temperature')
  args[5] = optionalNumber(options.topK, 0, 'sample', 'topK')
  args[6] = optionalNumber(options.topP, 1, 'sample', 'topP')
  args[7] = optionalNumber(options.minP, 0, 'sample', 'minP')
  args[8] = optionalId(options.out?.token, 'sample', 'out.token')
  args[9] = optionalId(options.out?.logprob, 'sample', 'out.logprob')
  native.run(26)
  return {
    token: result(0, device, options.out?.token),
    logprob: result(1, device, options.out?.logprob),
  }
}

/**
 * Softmax attention of packed query segments: row i of a segment sees every key of the segment's spans, and own keys kBegin + j for j <= i + causalOffset. A row that sees nothing, or is in no segment, gives 0 and lse -inf.
 *
 * @param q [Tq, Hq, D] (f32 or bf16)
 * @param k [Tk, Hkv, D], Hq a multiple of Hkv (f32 or bf16)
 * @param v [Tk, Hkv, D] (f32 or bf16)
 * @param segments [S, 6] rows of qBegin, qEnd, kBegin (-1: no own keys), causalOffset, spanBegin, spanEnd (i32)
 * @param spans [P, 2] rows of kBegin, kEnd (i32)
 * @returns out: [Tq, Hq, D]; lse: [Tq, Hq] f32, natural log
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  segments: Tensor,
  spans: Tensor,
  options: {
    /** factor of the scores; 0 means 1 / sqrt(D); default 0 */
    scale?: number
    /** Tensors to write instead of new ones. */
    out?: { out?: Tensor; lse?: Tensor }
  } = {},
): { out: Tensor; lse: Tensor } {
  const device = begin(q, 'attention', 'q')
  checkOptions(options, 'attention')
  args[1] = id(q, 'attention', 'q')
  args[2] = id(k, 'attention', 'k')
  args[3] = id(v, 'attention', 'v')
  args[4] = id(segments, 'attention', 'segments')
  args[5] = id(spans, 'attention', 'spans')
  args[6] = optionalNumber(options.scale, 0, 'attention', 'scale')
  args[7] = optionalId(options.out?.out, 'attention', 'out.out')
  args[8] = optionalId(options.out?.lse, 'attention', 'out.lse')
  native.run(27)
  return {
    out: result(0, device, options.out?.out),
    lse: result(1, device, options.out?.lse),
  }
}

/**
 * Gradients of attention. Keys that nobody sees get 0; the sums over queries have a fixed order.
 *
 * @param q [Tq, Hq, D] (f32 or bf16)
 * @param k [Tk, Hkv, D] (f32 or bf16)
 * @param v [Tk, Hkv, D] (f32 or bf16)
 * @param out [Tq, Hq, D], what attention returned (f32 or bf16)
 * @param lse [Tq, Hq], what attention returned (f32)
 * @param dOut [Tq, Hq, D] (f32 or bf16)
 * @param segments [S, 6] rows of qBegin, qEnd, kBegin (-1: no own keys), causalOffset, spanBegin, spanEnd (i32)
 * @param spans [P, 2] rows of kBegin, kEnd (i32)
 * @returns dq: [Tq, Hq, D]; dk: [Tk, Hkv, D]; dv: [Tk, Hkv, D]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function attentionBackward(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  out: Tensor,
  lse: Tensor,
  dOut: Tensor,
  segments: Tensor,
  spans: Tensor,
  options: {
    /** factor of the scores; 0 means 1 / sqrt(D); default 0 */
    scale?: number
    /** Tensors to write instead of new ones. */
    out?: { dq?: Tensor; dk?: Tensor; dv?: Tensor }
  } = {},
): { dq: Tensor; dk: Tensor; dv: Tensor } {
  const device = begin(q, 'attentionBackward', 'q')
  checkOptions(options, 'attentionBackward')
  args[1] = id(q, 'attentionBackward', 'q')
  args[2] = id(k, 'attentionBackward', 'k')
  args[3] = id(v, 'attentionBackward', 'v')
  args[4] = id(out, 'attentionBackward', 'out')
  args[5] = id(lse, 'attentionBackward', 'lse')
  args[6] = id(dOut, 'attentionBackward', 'dOut')
  args[7] = id(segments, 'attentionBackward', 'segments')
  args[8] = id(spans, 'attentionBackward', 'spans')
  args[9] = optionalNumber(options.scale, 0, 'attentionBackward', 'scale')
  args[10] = optionalId(options.out?.dq, 'attentionBackward', 'out.dq')
  args[11] = optionalId(options.out?.dk, 'attentionBackward', 'out.dk')
  args[12] = optionalId(options.out?.dv, 'attentionBackward', 'out.dv')
  native.run(28)
  return {
    dq: result(0, device, options.out?.dq),
    dk: result(1, device, options.out?.dk),
    dv: result(2, device, options.out?.dv),
  }
}

/**
 * Attention of one new token a row over paged keys: the prefix of the row's group, then the row's own tokens. Equal bit for bit to the row that attention gives for the same token, whatever else is in the batch. A row with rowGroup -1 gives 0.
 *
 * @param q [B, Hq, D] (f32 or bf16)
 * @param kv [pages, 2, Hkv, pageSize, D], keys then values (f32 or bf16)
 * @param rowGroup [B] in [0, G), or -1: inactive; adjacent rows of a group share work (on cpu also those of groups whose prefixes begin with the same pages) (i32)
 * @param prefixPages [G, maxPrefixPages] page ids (i32)
 * @param prefixLens [G] tokens (i32)
 * @param ownPages [B, maxOwnPages] page ids (i32)
 * @param ownLens [B] tokens, the new one included (i32)
 * @returns [B, Hq, D]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function decodeAttention(
  q: Tensor,
  kv: Tensor,
  rowGroup: Tensor,
  prefixPages: Tensor,
  prefixLens: Tensor,
  ownPages: Tensor,
  ownLens: Tensor,
  options: {
    /** factor of the scores; 0 means 1 / sqrt(D); default 0 */
    scale?: number
    /** Tensors to write instead of new ones. */
    out?: { out?: Tensor }
  } = {},
): Tensor {
  const device = begin(q, 'decodeAttention', 'q')
  checkOptions(options, 'decodeAttention')
  args[1] = id(q, 'decodeAttention', 'q')
  args[2] = id(kv, 'decodeAttention', 'kv')
  args[3] = id(rowGroup, 'decodeAttention', 'rowGroup')
  args[4] = id(prefixPages, 'decodeAttention', 'prefixPages')
  args[5] = id(prefixLens, 'decodeAttention', 'prefixLens')
  args[6] = id(ownPages, 'decodeAttention', 'ownPages')
  args[7] = id(ownLens, 'decodeAttention', 'ownLens')
  args[8] = optionalNumber(options.scale, 0, 'decodeAttention', 'scale')
  args[9] = optionalId(options.out?.out, 'decodeAttention', 'out.out')
  native.run(29)
  return result(0, device, options.out?.out)
}

/**
 * Writes keys and values of T tokens into their slots of the paged cache.
 *
 * @param k [T, Hkv, D] (f32 or bf16)
 * @param v [T, Hkv, D] (f32 or bf16)
 * @param kv [pages, 2, Hkv, pageSize, D], written (f32 or bf16, in place)
 * @param slots [T] page * pageSize + offset, no two alike; -1 skips the token (i32)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function kvWrite(
  k: Tensor,
  v: Tensor,
  kv: Tensor,
  slots: Tensor,
): void {
  begin(k, 'kvWrite', 'k')
  args[1] = id(k, 'kvWrite', 'k')
  args[2] = id(v, 'kvWrite', 'v')
  args[3] = id(kv, 'kvWrite', 'kv')
  args[4] = id(slots, 'kvWrite', 'slots')
  native.run(30)
}

/**
 * Keys and values of T slots of the paged cache as rows: what kvWrite put there.
 *
 * @param kv [pages, 2, Hkv, pageSize, D] (f32 or bf16)
 * @param slots [T] page * pageSize + offset; -1 gives 0 (i32)
 * @returns k: [T, Hkv, D]; v: [T, Hkv, D]
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function kvRead(
  kv: Tensor,
  slots: Tensor,
  options: {
    /** Tensors to write instead of new ones. */
    out?: { k?: Tensor; v?: Tensor }
  } = {},
): { k: Tensor; v: Tensor } {
  const device = begin(kv, 'kvRead', 'kv')
  checkOptions(options, 'kvRead')
  args[1] = id(kv, 'kvRead', 'kv')
  args[2] = id(slots, 'kvRead', 'slots')
  args[3] = optionalId(options.out?.k, 'kvRead', 'out.k')
  args[4] = optionalId(options.out?.v, 'kvRead', 'out.v')
  native.run(31)
  return {
    k: result(0, device, options.out?.k),
    v: result(1, device, options.out?.v),
  }
}

/**
 * The slot of each row's last own token; -1 where a row has none.
 *
 * @param ownPages [B, maxOwnPages] page ids (i32)
 * @param ownLens [B] tokens (i32)
 * @returns [B] i32
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function decodeSlots(
  ownPages: Tensor,
  ownLens: Tensor,
  options: {
    /** slots of a page */
    pageSize: number
    /** Tensors to write instead of new ones. */
    out?: { slots?: Tensor }
  },
): Tensor {
  const device = begin(ownPages, 'decodeSlots', 'ownPages')
  checkOptions(options, 'decodeSlots')
  args[1] = id(ownPages, 'decodeSlots', 'ownPages')
  args[2] = id(ownLens, 'decodeSlots', 'ownLens')
  args[3] = number(options.pageSize, 'decodeSlots', 'pageSize')
  args[4] = optionalId(options.out?.slots, 'decodeSlots', 'out.slots')
  native.run(32)
  return result(0, device, options.out?.slots)
}

/**
 * Counts one more token of every active row: positions and ownLens grow by one where rowGroup >= 0, to 2^31 - 1 at most.
 *
 * @param rowGroup [B] -1: inactive (i32)
 * @param positions [B], written (i32, in place)
 * @param ownLens [B], written (i32, in place)
 * @throws TypeError or RangeError with `code` when a shape, dtype or value does not fit
 */
export function decodeAdvance(
  rowGroup: Tensor,
  positions: Tensor,
  ownLens: Tensor,
): void {
  begin(rowGroup, 'decodeAdvance', 'rowGroup')
  args[1] = id(rowGroup, 'decodeAdvance', 'rowGroup')
  args[2] = id(positions, 'decodeAdvance', 'positions')
  args[3] = id(ownLens, 'decodeAdvance', 'ownLens')
  native.run(33)
}
