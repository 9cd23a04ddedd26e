import { describe, fail } from '../errors.js'
import { type Device, device as openDevice } from './device.js'
import { native } from './native.js'
import { adopt, forget } from './scope.js'

/** Element types; the order is native/core/dtype.h's. */
export const dtypes = ['f32', 'bf16', 'i32', 'u8'] as const
export type DType = (typeof dtypes)[number]

export const dtypeBytes: Record<DType, number> = { f32: 4, bf16: 2, i32: 4, u8: 1 }

const args = native.arguments
const finalizer = new FinalizationRegistry<number>((id) => {
  native.release(id)
})

/**
 * A dense array in a device's memory. Ops on it are queued; only reading awaits.
 *
 * Memory is freed by {@link Tensor.dispose}, by the end of a {@link scope}, or, late, by the garbage collector.
 */
export class Tensor {
  /** Handle of the native tensor; a negative number once disposed. */
  id: number
  /** Tape entries that still need this tensor, see {@link retain}. */
  #holders = 0
  #orphaned = false

  /** @internal Use {@link tensor}, {@link empty} or an op. */
  constructor(
    id: number,
    readonly device: Device,
    readonly dtype: DType,
    readonly shape: readonly number[],
    /** Elements between consecutive indices of the first dimension. */
    readonly rowStride: number,
    /** 0: plain rows; otherwise a packed weight that only GEMM ops accept. */
    readonly layout = 0,
  ) {
    this.id = id
    finalizer.register(this, id, this)
    adopt(this)
  }

  /** Whether `value` is a tensor of this library; an object that only looks like one is not. */
  static is(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #holders in value
  }

  get size(): number {
    return product(this.shape)
  }

  get disposed(): boolean {
    return this.id < 0
  }

  /** Frees the memory as soon as the ops that are queued have used it. Safe to call twice. */
  dispose(): void {
    if (this.id < 0) return
    finalizer.unregister(this)
    native.release(this.id)
    this.id = -2
    forget(this)
  }

  /** Keeps the tensor past the end of its scope until {@link release}; counted. The tape's way to save an activation. */
  retain(): this {
    this.#holders++
    return this
  }

  release(): void {
    if (--this.#holders <= 0 && this.#orphaned) this.dispose()
  }

  /** Frees the memory now, or, where a tape retains it, as soon as the tape lets go. */
  drop(): void {
    forget(this)
    this.leaveScope()
  }

  /** @internal The scope that made this tensor ended. */
  leaveScope(): void {
    if (this.#holders > 0) this.#orphaned = true
    else this.dispose()
  }

  /**
   * A view of the same memory: the given shape from element `offset` on, rows `rowStride` elements apart.
   *
   * @throws `ERR_RANGE` when it would reach outside this tensor, `ERR_SHAPE` or `ERR_TYPE` when it is no shape.
   */
  view(shape: readonly number[], offset = 0, rowStride?: number): Tensor {
    checkDimensions(shape, 'view') // the addon checks the sizes
    const stride = rowStride ?? product(shape.slice(1))
    checkNumbers([offset, stride], 'view')
    args[0] = this.id
    args[1] = offset
    args[2] = stride
    writeSpec(3, this.dtype, shape)
    return new Tensor(native.view(), this.device, this.dtype, [...shape], stride)
  }

  /** The same elements in another shape; one dimension may be -1. Needs contiguous rows. */
  reshape(shape: readonly number[]): Tensor {
    checkDimensions(shape, 'reshape')
    const known = product(shape.filter((n) => n !== -1))
    const full = shape.map((n) => (n === -1 ? this.size / Math.max(1, known) : n))
    if (product(full) !== this.size || !this.contiguous) {
      fail('RangeError', 'ERR_SHAPE', `[reshape] expected ${this.size} contiguous elements, got shape [${shape}]`)
    }
    return this.view(full)
  }

  /** Rows [begin, end) of the first dimension. */
  rows(begin: number, end: number): Tensor {
    checkNumbers([begin, end], 'rows')
    return this.view([end - begin, ...this.shape.slice(1)], begin * this.rowStride, this.rowStride)
  }

  /** Columns [begin, end) of a [T, C] tensor. */
  columns(begin: number, end: number): Tensor {
    checkNumbers([begin, end], 'columns')
    return this.view([this.shape[0] ?? 0, end - begin], begin, this.rowStride)
  }

  get contiguous(): boolean {
    return (this.shape[0] ?? 1) <= 1 || this.rowStride === product(this.shape.slice(1))
  }

  /** The elements as f32 (bf16 widened), or i32 / u8 as they are, once everything queued before has run. */
  async toArray(): Promise<Float32Array | Int32Array | Uint8Array> {
    const data = await native.read(this.id)
    return this.dtype === 'bf16' ? widen(data as Uint16Array) : (data as Float32Array | Int32Array | Uint8Array)
  }

  /** {@link toArray} of a float tensor. */
  async toFloat32Array(): Promise<Float32Array> {
    if (this.dtype !== 'f32' && this.dtype !== 'bf16') {
      fail('TypeError', 'ERR_DTYPE', `[toFloat32Array] expected f32 or bf16, got ${this.dtype}`)
    }
    return (await this.toArray()) as Float32Array
  }

  /** {@link toArray} of an i32 tensor. */
  async toInt32Array(): Promise<Int32Array> {
    if (this.dtype !== 'i32') fail('TypeError', 'ERR_DTYPE', `[toInt32Array] expected i32, got ${this.dtype}`)
    return (await this.toArray()) as Int32Array
  }
}

export interface TensorOptions {
  device?: Device | string
  dtype?: DType
}

/**
 * Copies data to a device.
 *
 * @param data numbers in row-major order; `Int32Array` makes i32, `Uint8Array` u8, everything else f32 (or bf16)
 * @param shape sizes whose product is `data.length`; default one dimension
 */
export function tensor(data: ArrayLike<number>, shape?: readonly number[], options: TensorOptions = {}): Tensor {
  checkData(data, 'tensor')
  checkOptions(options)
  shape ??= [data.length]
  checkShape(shape, 'tensor')
  const { device = 'auto', dtype = dtypeOf(data) } = options
  if (product(shape) !== data.length) {
    fail(
      'RangeError',
      'ERR_SHAPE',
      `[tensor] expected ${product(shape)} values for shape [${shape}], got ${data.length}`,
    )
  }
  const t = empty(shape, { device, dtype })
  native.upload(t.id, encode(data, dtype))
  return t
}

const dtypeOf = (data: ArrayLike<number>): DType =>
  data instanceof Int32Array ? 'i32' : data instanceof Uint8Array ? 'u8' : 'f32'

/** Overwrites a contiguous tensor's elements, in stream order. */
export function write(t: Tensor, data: ArrayLike<number>): void {
  if (!Tensor.is(t)) fail('TypeError', 'ERR_TYPE', `[write] expected a tensor, got ${describe(t)}`)
  checkData(data, 'write')
  native.upload(t.id, encode(data, t.dtype))
}

/** A tensor whose contents are undefined until an op writes them. */
export function empty(shape: readonly number[], options: TensorOptions = {}): Tensor {
  checkShape(shape, 'tensor')
  checkOptions(options)
  const { device = 'auto', dtype = 'f32' } = options
  const d = openDevice(device)
  args[0] = d.index
  writeSpec(1, dtype, shape)
  return new Tensor(native.create(), d, dtype, [...shape], product(shape.slice(1)))
}

/** Arrays of numbers and typed arrays of them; a nested array, a text or a bigint would otherwise become NaN. */
function checkData(data: ArrayLike<number>, where: string): void {
  const typed = ArrayBuffer.isView(data) && !(data instanceof DataView)
  if (typed && !(data instanceof BigInt64Array) && !(data instanceof BigUint64Array)) return
  if (!Array.isArray(data)) {
    const got = typed ? data.constructor.name : data === null ? 'null' : typeof data
    fail('TypeError', 'ERR_TYPE', `[${where}] expected an array of numbers, got ${got}`)
  }
  const at = data.findIndex((x) => typeof x !== 'number')
  if (at < 0) return
  const got = Array.isArray(data[at]) ? 'an array (pass the elements flat, and their shape)' : typeof data[at]
  fail('TypeError', 'ERR_TYPE', `[${where}] expected an array of numbers, got ${got} at ${at}`)
}

function checkOptions(options: TensorOptions): void {
  if (typeof options !== 'object' || options === null) {
    fail('TypeError', 'ERR_TYPE', `[tensor] expected options { device, dtype }, got ${describe(options)}`)
  }
}

/** Numbers at all: anything else could throw an error of its own on its way into the argument array. */
function checkNumbers(values: readonly number[], where: string): void {
  if (!values.every((n) => typeof n === 'number'))
    fail('TypeError', 'ERR_TYPE', `[${where}] expected numbers, got ${describe(values)}`)
}

/** As {@link checkNumbers}; which numbers make a shape is left to the addon. */
function checkDimensions(shape: readonly number[], where: string): void {
  if (!Array.isArray(shape) || shape.length > 16 || !shape.every((n) => typeof n === 'number'))
    fail('RangeError', 'ERR_SHAPE', `[${where}] expected a shape, got ${describe(shape)}`)
}

function checkShape(shape: readonly number[], where: string): void {
  if (!Array.isArray(shape) || shape.length > 5 || shape.some((n) => !Number.isSafeInteger(n) || n < 0)) {
    fail('RangeError', 'ERR_SHAPE', `[${where}] expected a shape of at most 5 whole numbers, got ${describe(shape)}`)
  }
}

function writeSpec(at: number, dtype: DType, shape: readonly number[]): void {
  const code = dtypes.indexOf(dtype)
  if (code < 0) {
    fail('TypeError', 'ERR_DTYPE', `[tensor] expected dtype ${dtypes.join(', ')}, got ${describe(dtype)}`)
  }
  args[at] = code
  args[at + 1] = shape.length
  for (let i = 0; i < shape.length; i++) args[at + 2 + i] = shape[i]!
}

function encode(data: ArrayLike<number>, dtype: DType): NodeJS.TypedArray {
  switch (dtype) {
    case 'f32':
      return data instanceof Float32Array ? data : Float32Array.from(data)
    case 'bf16':
      return data instanceof Uint16Array ? data : narrow(data instanceof Float32Array ? data : Float32Array.from(data))
    case 'i32':
      return data instanceof Int32Array ? data : whole(data, dtype, Int32Array)
    case 'u8':
      return data instanceof Uint8Array ? data : whole(data, dtype, Uint8Array)
  }
}

/** Conversion to whole numbers that loses nothing: a token id of 1.5 or 2^40 is a mistake somewhere. */
function whole<T extends Int32Array | Uint8Array>(
  data: ArrayLike<number>,
  dtype: DType,
  make: { from(data: ArrayLike<number>): T },
): T {
  const out = make.from(data)
  for (let i = 0; i < out.length; i++) {
    if (out[i] !== data[i]) {
      fail('RangeError', 'ERR_RANGE', `[tensor] expected whole numbers that ${dtype} holds, got ${data[i]} at ${i}`)
    }
  }
  return out
}

/** bf16 bit patterns to floats. */
export function widen(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16
  return new Float32Array(out.buffer)
}

/** Floats to bf16 bit patterns, to nearest, ties to even; NaN stays NaN. */
export function narrow(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const u = bits[i]!
    out[i] = (u & 0x7fffffff) > 0x7f800000 ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16
  }
  return out
}

export function product(shape: readonly number[]): number {
  let n = 1
  for (const d of shape) n *= d
  return n
}
