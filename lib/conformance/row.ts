import type { DType } from '../tensor/tensor.js'
import type { BenchCase } from './bench.js'

// What a kernel family hands to the conformance suite and to `callgrad bench ops`: lib/conformance/rows/<family>.ts exports `rows: OpRow[]`.

/** Elements in row-major order; i32 inputs too. */
export type Values = Float64Array

export interface Input {
  shape: number[]
  values: Values
  /** Default f32. A float input that is given no dtype is also tried as bf16 where the op takes bf16. */
  dtype?: DType
}

/** One call. Inputs by the names of the op table; absent optional inputs are left out. */
export interface OpCase {
  name: string
  inputs: Record<string, Input>
  attrs?: Record<string, number | boolean>
}

/** Inputs as the reference sees them: values after rounding to the dtype that is tested. */
export interface Call {
  inputs: Record<string, Input>
  attrs: Record<string, number>
}

/** Identity for the exact reference, rounding to bf16 for what a plain bf16 implementation would compute. */
export type Round = (x: number) => number

/**
 * One op of the native table. For each case the suite runs: f32 against the float64 reference; bf16 with at most
 * twice the error of the reference in plain bf16; the same bits twice; strided inputs, inouts and outputs with guard
 * columns; NaN, infinities and 1e4 put into each float input of the first case of some size; NaN where outputs do not
 * see it; wrong dtypes, shapes, disposed and missing tensors.
 */
export interface OpRow {
  op: string
  bench: BenchCase
  /** Sizes 1, 59, 97, 111, 1025 and 0 among them. */
  cases: OpCase[]
  /**
   * Outputs, and inouts after the call, by name, in float64. `round` goes around each result that an unfused
   * implementation would store in a tensor; statistics that are kept in fp32 stay unrounded.
   */
  reference(call: Call, round: Round): Record<string, Values>
  /** Error allowed in f32, of max(1, largest magnitude of the tensor). Default 2e-5. */
  tolerance?: number
  /**
   * Results are fp32 sums of bf16 products, which the reference in plain bf16 adds without an error. Tensor cores cut each addition off
   * (Fasi et al., "Numerical behavior of NVIDIA tensor cores", PeerJ CS 7:e330, 2021), so that the error grows with the number of terms.
   */
  sumsInFp32?: boolean
  /** For ops that no reference determines (sampling): says what is wrong with the outputs, null when nothing is. */
  check?(call: Call, outputs: Record<string, Values>): string | null
  /**
   * For a gradient op: the scalar whose derivative it computes. `variables` maps each gradient (output or inout of
   * this op) to the input array that it belongs to; the suite moves its elements and calls `loss` again.
   */
  gradient?(call: Call): { variables: Record<string, Values>; loss: () => number }
  /**
   * Rows of dimension 0 of the named inputs and of all outputs belong together and do not see each other: the first
   * half of the rows alone must give the same bits.
   */
  rowwise?: string[]
  /** For ops with a mask: the case with NaN in places that some outputs do not see. */
  unseen?(c: OpCase): Spoiled[]
  /** Leave out checks that make no sense for the op, with the reason next to it. */
  skip?: ('bf16' | 'nonFinite' | 'strided')[]
}

/** A case with NaN in it, and the elements of its outputs that keep their bits all the same. */
export interface Spoiled {
  case: OpCase
  keeps: Record<string, (element: number) => boolean>
}

export interface RowModule {
  rows: OpRow[]
}

/** A generator of reproducible numbers (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Numbers of about normal size, rounded to f32, so that what is tested is arithmetic and not the upload. */
export function normal(shape: number[], seed: number, scale = 1): Input {
  const next = random(seed * 7919 + 1)
  const values = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    const u = next() + next() + next() + next() + next() + next() - 3
    return Math.fround(u * Math.SQRT2 * scale)
  })
  return { shape, values }
}

/** Whole numbers in [0, limit). */
export function integers(shape: number[], seed: number, limit: number): Input {
  const next = random(seed * 104729 + 7)
  const values = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.floor(next() * limit))
  return { shape, values, dtype: 'i32' }
}

export function constant(shape: number[], value: number, dtype?: DType): Input {
  const values = new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(value)
  return dtype ? { shape, values, dtype } : { shape, values }
}
