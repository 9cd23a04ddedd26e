// Generated from native/ops by scripts/generate-ops.mjs; do not edit.
import { args, begin, id, optionalId, optionalNumber, result } from './call.js'
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
