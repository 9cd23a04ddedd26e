import { type SafetensorsData, SafetensorsFile } from '../../lib/formats/safetensors.js'
import type { Device } from '../../lib/tensor/device.js'
import { scope } from '../../lib/tensor/scope.js'
import { empty, type Tensor, tensor } from '../../lib/tensor/tensor.js'

/** One `kernels/*.safetensors` file, read: tensors `in.*`, `out.*`, `dout.*`, `grad.*`. */
export class KernelCase {
  private constructor(
    readonly op: string,
    readonly attrs: Record<string, unknown>,
    readonly device: Device,
    private readonly arrays: Map<string, { data: SafetensorsData; shape: number[] }>,
  ) {}

  static async open(path: string, device: Device): Promise<KernelCase> {
    const file = await SafetensorsFile.open(path)
    try {
      const arrays = new Map<string, { data: SafetensorsData; shape: number[] }>()
      for (const { name, shape } of file.entries.values()) arrays.set(name, { data: await file.read(name), shape })
      const { op = '', attrs = '{}' } = file.metadata
      return new KernelCase(op, JSON.parse(attrs), device, arrays)
    } finally {
      await file.close()
    }
  }

  has(name: string): boolean {
    return this.arrays.has(name)
  }

  /** Names of the tensors that begin with `prefix`. */
  names(prefix: string): string[] {
    return [...this.arrays.keys()].filter((name) => name.startsWith(prefix))
  }

  shape(name: string): number[] {
    return this.entry(name).shape
  }

  array(name: string): Float32Array | Int32Array {
    const { data } = this.entry(name)
    if (data instanceof Float32Array || data instanceof Int32Array) return data
    throw new TypeError(`[parity] expected ${name} to be f32 or i32`)
  }

  /** A fresh copy on the device. */
  tensor(name: string): Tensor {
    return tensor(this.array(name), this.shape(name), { device: this.device })
  }

  /** The tensor if the case has it. */
  optional(name: string): Tensor | null {
    return this.has(name) ? this.tensor(name) : null
  }

  /** An f32 tensor of zeros, as accumulated gradients start. */
  zeros(shape: readonly number[]): Tensor {
    const n = shape.reduce((a, b) => a * b, 1)
    return n ? tensor(new Float32Array(n), shape, { device: this.device }) : empty(shape, { device: this.device })
  }

  number(attr: string): number {
    const value = this.attrs[attr]
    if (typeof value !== 'number') throw new TypeError(`[parity] expected attribute ${attr} to be a number`)
    return value
  }

  private entry(name: string) {
    const found = this.arrays.get(name)
    if (!found) throw new RangeError(`[parity] the case has no tensor ${name}`)
    return found
  }
}

/** What an op gave, by the name that the file expects (`out.y`, `grad.x`). The runner compares every one of them. */
export type Computed = Record<string, Tensor | Float32Array | Int32Array>

/** For ops whose result is not compared number by number (`sample`). */
export interface Verdict {
  error: number
  failures: string[]
}

/** How one family computes a case; kernel owners export `ops: Record<string, KernelCheck>` from `kernels-<family>.ts`. */
export type KernelCheck = (c: KernelCase) => Computed | Verdict | Promise<Computed | Verdict>

export interface KernelModule {
  ops: Record<string, KernelCheck>
}

const tolerances: Record<string, number> = { out: 2e-5, grad: 1e-4 }

const isVerdict = (v: Computed | Verdict): v is Verdict => Array.isArray(v.failures)

/** Runs one case; the error is relative to max(1, largest magnitude expected). */
export async function checkCase(c: KernelCase, check: KernelCheck): Promise<Verdict> {
  const got = await check(c)
  if (isVerdict(got)) return got
  const verdict: Verdict = { error: 0, failures: [] }
  for (const name of [...c.names('out.'), ...c.names('grad.')]) {
    const value = got[name]
    if (!value) {
      verdict.failures.push(`${name} was not computed`)
      continue
    }
    const actual = ArrayBuffer.isView(value) ? value : await value.toArray()
    const { error, where } = largestError(actual, c.array(name))
    verdict.error = Math.max(verdict.error, error)
    const tolerance = tolerances[name.split('.')[0]!]!
    if (!(error <= tolerance))
      verdict.failures.push(`${name}${where} is off by ${error.toExponential(2)}, limit ${tolerance}`)
  }
  scope(() => {
    for (const value of Object.values(got)) if (!ArrayBuffer.isView(value)) value.dispose()
  })
  return verdict
}

function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): { error: number; where: string } {
  if (actual.length !== expected.length) {
    return { error: Number.POSITIVE_INFINITY, where: ` has ${actual.length} elements instead of ${expected.length}:` }
  }
  let magnitude = 1
  for (let i = 0; i < expected.length; i++) {
    const size = Math.abs(expected[i]!)
    if (size > magnitude && Number.isFinite(size)) magnitude = size
  }
  let worst = { error: 0, where: '' }
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!]
    if (Object.is(a, e)) continue // equal infinities and NaNs
    const difference = Math.abs(a - e) / magnitude
    const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
    if (error > worst.error) worst = { error, where: `[${i}] = ${a} instead of ${e}:` }
  }
  return worst
}
