import * as assert from 'uvu/assert'
import { normal } from '../../lib/conformance/row.js'
import { type DType, empty, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { testDevice } from '../support/device.js'

// Tensors for the tests of attention, and what they compare.

/** Reproducible normal numbers on the device under test; `change` edits them first. */
export function make(shape: number[], seed: number, dtype: DType, change?: (values: Float64Array) => void): Tensor {
  const { values } = normal(shape, seed)
  change?.(values)
  return tensor(Float32Array.from(values), shape, { device: testDevice, dtype })
}

export const ints = (values: number[], shape = [values.length]): Tensor =>
  values.length > 0
    ? tensor(Int32Array.from(values), shape, { device: testDevice })
    : empty(shape, { device: testDevice, dtype: 'i32' })

/** Elements of rows [begin, end) of dimension 0; one row where no end is given. */
export type Rows = (begin: number, end?: number) => Float32Array

export async function rowsOf(t: Tensor): Promise<Rows> {
  const data = await t.toFloat32Array()
  const width = data.length / t.shape[0]!
  return (begin, end = begin + 1) => data.slice(begin * width, end * width)
}

export function sameBits(actual: Float32Array, expected: Float32Array, what: string): void {
  assert.is(actual.length, expected.length, what)
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i], expected[i])) assert.unreachable(`${what}: [${i}] is ${actual[i]}, not ${expected[i]}`)
  }
}
