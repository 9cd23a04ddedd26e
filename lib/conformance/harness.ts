import { type NativeOp, native } from '../tensor/native.js'
import * as generated from '../tensor/ops.generated.js'
import { type DType, empty, narrow, type Tensor, tensor, widen } from '../tensor/tensor.js'
import type { Call, Input, OpCase, Values } from './row.js'

// Calls an op of the native table by name, the way the generated functions are called.

export const table: Map<string, NativeOp> = new Map(native.ops().map((op) => [op.name, op]))

type OpFunction = (...args: unknown[]) => unknown
const functions = generated as unknown as Record<string, OpFunction>

/** Outputs, and inouts after the call, by name. */
export type Outcome = Record<string, Values>

export function opNamed(name: string): NativeOp {
  const op = table.get(name)
  if (!op) throw new RangeError(`[conformance] the native table has no op ${name}`)
  return op
}

/** The generated function with exactly these arguments. */
export const callPositional = (op: NativeOp, ...given: unknown[]): unknown => functions[op.name]!(...given)

/** Runs an op with inputs and options by name; {@link callOp} by its kernel. */
export type CallOp = (
  op: NativeOp,
  inputs: Record<string, Tensor>,
  options: Record<string, unknown>,
) => Record<string, Tensor>

export const callOp: CallOp = (op, inputs, options) => outputsOf(op, invoke(op, inputs, options))

/** `inputs` in the order and place that the generated function wants. */
export function invoke(op: NativeOp, inputs: Record<string, unknown>, options: Record<string, unknown>): unknown {
  const required = op.inputs.filter((i) => !i.optional).map((i) => inputs[i.name])
  const optional = Object.fromEntries(op.inputs.filter((i) => i.optional).map((i) => [i.name, inputs[i.name]]))
  return functions[op.name]!(...required, { ...optional, ...options })
}

/** The result of {@link invoke} as a record of outputs by name. */
export function outputsOf(op: NativeOp, result: unknown): Record<string, Tensor> {
  if (op.outputs.length === 0) return {}
  const all = op.outputs.length === 1 ? { [op.outputs[0]!.name]: result } : (result as Record<string, unknown>)
  return Object.fromEntries(Object.entries(all).filter(([, t]) => t)) as Record<string, Tensor>
}

/** Dtype in which an input is uploaded when floats are tried as `float`. */
export function dtypeOf(op: NativeOp, name: string, input: Input, float: 'f32' | 'bf16'): DType {
  if (input.dtype) return input.dtype
  const declared = op.inputs.find((i) => i.name === name)
  if (!declared) throw new RangeError(`[conformance] ${op.name} has no input ${name}`)
  return declared.dtypes.includes(float) ? float : (declared.dtypes[0] as DType)
}

/** The call as the reference sees it: floats rounded to the dtype under test, attributes with their defaults. */
export function callOf(op: NativeOp, c: OpCase, float: 'f32' | 'bf16'): Call {
  const inputs: Record<string, Input> = {}
  for (const [name, input] of Object.entries(c.inputs)) {
    const dtype = dtypeOf(op, name, input, float)
    const values = dtype === 'bf16' ? Float64Array.from(input.values, roundBFloat16) : input.values
    inputs[name] = { shape: input.shape, values, dtype }
  }
  const attrs = Object.fromEntries(op.attrs.map((a) => [a.name, Number(c.attrs?.[a.name] ?? a.default)]))
  return { inputs, attrs }
}

const scratch = new Float32Array(1)
export function roundBFloat16(x: number): number {
  scratch[0] = x
  return widen(narrow(scratch))[0]!
}

const guard = 8 // extra columns on either side of a strided tensor's rows
const guardValue = 12345

interface Placed {
  tensor: Tensor
  /** The buffer around a strided tensor. */
  buffer: Tensor | null
}

/** A view with guard columns before and behind each row. */
function placeStrided(shape: readonly number[], dtype: DType, device: string): Placed {
  const rows = shape[0] ?? 1
  const width = shape.slice(1).reduce((a, b) => a * b, 1)
  const buffer = empty([rows, width + 2 * guard], { device, dtype })
  generated.fill(buffer, { value: guardValue })
  return { buffer, tensor: buffer.view(shape, rows ? guard : 0, width + 2 * guard) }
}

function place(input: Input, dtype: DType, strided: boolean, device: string): Placed {
  const data = dtype === 'i32' || dtype === 'u8' ? Int32Array.from(input.values) : Float32Array.from(input.values)
  const dense = tensor(dtype === 'u8' ? Uint8Array.from(data) : data, input.shape, { device, dtype })
  if (!strided || input.shape.length < 2) return { tensor: dense, buffer: null }
  const placed = placeStrided(input.shape, dtype, device)
  generated.copy(dense, placed.tensor)
  dense.dispose()
  return placed
}

async function guardsHold({ buffer, tensor: t }: Placed): Promise<boolean> {
  if (!buffer) return true
  const data = await buffer.toArray()
  const width = t.shape.slice(1).reduce((a, b) => a * b, 1)
  const want = t.dtype === 'bf16' ? roundBFloat16(guardValue) : guardValue
  return data.every((x, i) => {
    const column = i % (width + 2 * guard)
    return (column >= guard && column < guard + width) || x === want
  })
}

export interface RunOptions {
  device: string
  float?: 'f32' | 'bf16'
  /** Give every strided input, inout and output of two or more dimensions rows with guard columns around them. */
  strided?: boolean
  /** What runs the op, where it is not its kernel. */
  call?: CallOp
}

/** Runs a case and reads its outputs and inouts. Throws what the op throws, or that it wrote outside its rows. */
export async function runCase(
  name: string,
  c: OpCase,
  { device, float = 'f32', strided = false, call = callOp }: RunOptions,
): Promise<Outcome> {
  const op = opNamed(name)
  const placed: Record<string, Placed> = {}
  for (const [key, input] of Object.entries(c.inputs)) {
    const declared = op.inputs.find((i) => i.name === key)
    placed[key] = place(input, dtypeOf(op, key, input, float), strided && !!declared?.strided, device)
  }
  const tensors = Object.fromEntries(Object.entries(placed).map(([key, p]) => [key, p.tensor]))
  let result = call(op, tensors, { ...c.attrs })
  const out: Record<string, Placed> = {}
  if (strided) {
    // a second call into outputs of our own; inouts start again from their inputs
    for (const [key, t] of Object.entries(result)) {
      out[key] = t.shape.length < 2 || t.layout ? { tensor: t, buffer: null } : placeStrided(t.shape, t.dtype, device)
    }
    for (const [key, p] of Object.entries(placed)) {
      if (!op.inputs.find((i) => i.name === key)?.inout) continue
      const again = place(c.inputs[key]!, p.tensor.dtype, false, device)
      generated.copy(again.tensor, p.tensor)
      again.tensor.dispose()
    }
    const given = Object.fromEntries(Object.entries(out).map(([key, p]) => [key, p.tensor]))
    result = call(op, tensors, { ...c.attrs, ...(op.outputs.length && { out: given }) })
  }
  const outcome: Outcome = {}
  const read = async (key: string, t: Tensor) => {
    outcome[key] = Float64Array.from(await t.toArray())
  }
  for (const [key, t] of Object.entries(result)) if (!t.layout) await read(key, t)
  for (const i of op.inputs) if (i.inout && placed[i.name]) await read(i.name, placed[i.name]!.tensor)
  for (const [key, p] of [...Object.entries(placed), ...Object.entries(out)]) {
    if (!(await guardsHold(p))) throw new Error(`[${name}] wrote outside the rows of ${key}`)
  }
  for (const p of [...Object.values(placed), ...Object.values(out)]) {
    p.tensor.dispose()
    p.buffer?.dispose()
  }
  for (const t of Object.values(result)) t.dispose()
  return outcome
}
