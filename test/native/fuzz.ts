import type { NativeOp } from '../../lib/tensor/native.js'
import { type DType, dtypes, empty, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { testDevice } from '../support/device.js'
import { dtypeOf, invoke, opNamed, outputsOf } from './harness.js'
import { type Input, type OpRow, random } from './row.js'

// Calls ops with arguments that are partly right and partly anything. The op may run or throw a coded error; a crash
// ends the process, and with it the test file.

const numbers = [0, 1, -1, 2, 7, 0.5, 1.5, 1e-30, 1e300, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), Number.NaN]
const strange: unknown[] = [null, undefined, {}, [], 'x', 7, -1, Number.NaN, { id: 1 }, new Float32Array(3), () => 0]
const sizes = [0, 1, 1, 2, 3, 4, 5, 8, 12, 16, 31, 59, 64]
const wild = [-1, 0, 1, 2, 3, 5, 59, 1000, -(2 ** 31), 2 ** 31 - 1]

export class Fuzzer {
  readonly #pool: Tensor[] = []
  readonly #next: () => number
  calls = 0
  ran = 0
  /** Codes of the errors that came back, with their number. */
  readonly codes = new Map<string, number>()

  constructor(seed: number) {
    this.#next = random(seed)
  }

  #below(n: number): number {
    return Math.floor(this.#next() * n)
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!
  }

  /** One call; throws when something comes back that is neither a result nor a coded error. */
  async call(row: OpRow): Promise<void> {
    const op = opNamed(row.op)
    const c = this.#pick(row.cases)
    const mine: Tensor[] = []
    const inputs: Record<string, unknown> = {}
    const float = this.#next() < 0.5 ? 'f32' : 'bf16'
    for (const [name, input] of Object.entries(c.inputs)) {
      inputs[name] = this.#upload(op, name, input, float, mine)
    }
    const names = op.inputs.map((i) => i.name)
    for (let changes = this.#below(3); changes > 0; changes--) inputs[this.#pick(names)] = this.#argument(inputs)
    const attrs: Record<string, unknown> = { ...c.attrs }
    if (op.attrs.length > 0 && this.#next() < 0.3) attrs[this.#pick(op.attrs).name] = this.#attribute()
    const out: Record<string, unknown> = {}
    if (this.#next() < 0.3)
      for (const { name } of op.outputs) if (this.#next() < 0.6) out[name] = this.#argument(inputs)
    this.calls++
    try {
      const result = outputsOf(op, invoke(op, inputs, op.outputs.length ? { ...attrs, out } : attrs))
      for (const t of Object.values(result)) if (!mine.includes(t)) this.#remember(t)
      this.ran++
    } catch (error) {
      this.#countError(error, op)
    }
    for (const t of mine) this.#next() < 0.1 ? this.#remember(t) : t.dispose()
    if (this.calls % 16 === 0) await this.settle(op)
  }

  /** Waits for what is queued; a value that only the kernel can check shows up here. */
  async settle(op?: NativeOp): Promise<void> {
    const t = empty([1], { device: testDevice })
    await t.device.synchronize().catch((error) => this.#countError(error, op))
    t.dispose()
  }

  dispose(): void {
    for (const t of this.#pool) t.dispose()
  }

  #countError(error: unknown, op?: NativeOp): void {
    const code = (error as { code?: unknown }).code
    if (typeof code !== 'string' || !code.startsWith('ERR_') || code === 'ERR_INTERNAL') {
      throw new Error(`${op?.name ?? 'a queued op'} gave an error without a code`, { cause: error })
    }
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
  }

  #upload(op: NativeOp, name: string, input: Input, float: 'f32' | 'bf16', mine: Tensor[]): Tensor {
    const dtype = dtypeOf(op, name, input, float)
    const values = input.values.slice()
    if (dtype === 'i32' && this.#next() < 0.3) {
      for (let k = 0; k < values.length; k++) if (this.#next() < 0.2) values[k] = this.#pick(wild)
    }
    const data =
      dtype === 'i32' ? Int32Array.from(values) : dtype === 'u8' ? Uint8Array.from(values) : Float32Array.from(values)
    const t = tensor(data, input.shape, { device: testDevice, dtype })
    mine.push(t)
    return t
  }

  #argument(inputs: Record<string, unknown>): unknown {
    const kind = this.#next()
    if (kind < 0.15) return this.#pick(strange)
    if (kind < 0.35) return this.#pick(Object.values(inputs))
    if (kind < 0.65 && this.#pool.length > 0) return this.#view(this.#pick(this.#pool))
    const t = this.#fresh()
    this.#remember(t)
    if (this.#next() < 0.1) t.dispose()
    return t
  }

  #fresh(): Tensor {
    const dtype = this.#pick<DType>(dtypes)
    const shape = Array.from({ length: this.#below(5) }, () => this.#pick(sizes))
    // no elements, but a dimension beyond memory
    if (this.#next() < 0.05) shape.splice(0, shape.length, 0, this.#pick([2 ** 31, 2 ** 40]))
    if (shape.reduce((a, b) => a * b, 1) > 1 << 16) return this.#fresh()
    const t = empty(shape.slice(0, 5), { device: testDevice, dtype })
    if (dtype === 'i32') {
      const values = Int32Array.from({ length: t.size }, () => this.#pick(wild))
      t.dispose()
      return tensor(values, shape.slice(0, 5), { device: testDevice })
    }
    return t
  }

  #view(t: Tensor): Tensor {
    if (t.disposed || t.layout || t.shape.length < 2 || this.#next() < 0.5) return t
    const [rows, width] = [t.shape[0]!, t.shape.slice(1).reduce((a, b) => a * b, 1)]
    if (t.size === 0 || width < 2) return t
    const view = t.view([rows, this.#below(width - 1) + 1], 0, t.rowStride)
    this.#remember(view)
    return view
  }

  #attribute(): unknown {
    return this.#next() < 0.2 ? this.#pick(strange) : this.#pick(numbers)
  }

  /** Results come back as arguments; a hundred of them at most. */
  #remember(t: Tensor): void {
    if (this.#pool.length >= 100) this.#pool.splice(this.#below(100), 1)[0]!.dispose()
    this.#pool.push(t)
  }
}
