// What a benchmark of an op runs: shapes of a decoder, and a maker of inputs on the device under test.
import type { Device } from '../tensor/device.js'
import { type DType, empty, type Tensor, tensor } from '../tensor/tensor.js'

/** Sizes that decide the shapes of a decoder's ops. */
export interface OpShapes {
  /** Rows of a training or prefill batch: one prompt of 600 tokens and eight answers of 96. */
  rows: number
  /** Sequences in a decode step, and the tokens that each has seen. */
  sequences: number
  context: number
  hidden: number
  heads: number
  kvHeads: number
  headDim: number
  intermediate: number
  vocab: number
  /** Rows that the head scores. */
  scored: number
  /** Weights that the optimizer steps over. */
  parameters: number
}

/** SmolLM2-135M under the workload of docs/performance.md. */
export const smollm2Shapes: OpShapes = {
  rows: 1368,
  sequences: 64,
  context: 320,
  hidden: 576,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  intermediate: 1536,
  vocab: 49152,
  scored: 256,
  parameters: 16 * 576 * 1536,
}

/**
 * The same model at a size that the checked emulator runs in seconds. Widths are whole vectors of 16 bytes, and rows are enough that
 * what is read once for all of them (weights of a norm, tables) weighs as little as in training.
 */
export const emulatedShapes: OpShapes = {
  rows: 256,
  sequences: 8,
  context: 160,
  hidden: 576,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  intermediate: 768,
  vocab: 2048,
  scored: 128,
  parameters: 2 ** 19,
}

/** How an op is measured. A row of the conformance table cannot be without one. */
export interface BenchCase {
  /** Dtypes that make a difference. */
  dtypes: readonly ('f32' | 'bf16')[]
  /** Fresh inputs by the names of the op table. */
  inputs(make: Maker, shapes: OpShapes): Record<string, Tensor>
  attrs?(shapes: OpShapes): Record<string, number | boolean>
  /** Floating-point operations where they depend on what the inputs hold: the op table then knows none. */
  flops?(shapes: OpShapes): number
  /** Bytes that the tiles of the GPU's bf16 kernel move at least, where an op is made of tiles (`tiling.ts`). */
  tiles?(shapes: OpShapes): number
}

/** Makes inputs; floats without a dtype get the one under test. */
export class Maker {
  #state = 1

  constructor(
    readonly device: Device,
    readonly dtype: 'f32' | 'bf16',
  ) {}

  #next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return this.#state / 2 ** 32
  }

  /** About normal numbers. */
  normal(shape: number[], dtype: DType = this.dtype, scale = 1): Tensor {
    const n = shape.reduce((a, b) => a * b, 1)
    // one short sequence, repeated: making millions of numbers in JavaScript would take longer than the measurement
    const pattern = Float32Array.from({ length: Math.min(n, 65537) }, () => {
      const u = this.#next() + this.#next() + this.#next() - 1.5
      return 2 * u * scale
    })
    const values = new Float32Array(n)
    for (let i = 0; i < n; i += pattern.length) values.set(pattern.subarray(0, Math.min(pattern.length, n - i)), i)
    return tensor(values, shape, { device: this.device, dtype })
  }

  integers(values: ArrayLike<number>, shape: number[] = [values.length]): Tensor {
    return tensor(Int32Array.from(values), shape, { device: this.device })
  }

  random(n: number, limit: number): Tensor {
    return this.integers(Array.from({ length: n }, () => Math.floor(this.#next() * limit)))
  }

  uninitialised(shape: number[], dtype: DType = this.dtype): Tensor {
    return empty(shape, { device: this.device, dtype })
  }
}

export const floats: BenchCase['dtypes'] = ['f32', 'bf16']
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
