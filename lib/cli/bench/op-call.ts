import { Maker, type OpShapes } from '../../conformance/bench.js'
import { callOp, opNamed, table } from '../../conformance/harness.js'
import type { OpRow } from '../../conformance/row.js'
import { result } from '../../tensor/call.js'
import type { Device } from '../../tensor/device.js'
import { type NativeOp, native } from '../../tensor/native.js'
import type { Tensor } from '../../tensor/tensor.js'

const numbers = new Map([...table.keys()].map((name, i) => [name, i]))

/** One op with the inputs of its benchmark on a device. */
export interface OpCall {
  op: NativeOp
  inputs: Record<string, Tensor>
  attrs: Record<string, number | boolean>
}

export function prepare(row: OpRow, shapes: OpShapes, device: Device, dtype: 'f32' | 'bf16'): OpCall {
  const { inputs, attrs } = row.bench
  return { op: opNamed(row.op), inputs: inputs(new Maker(device, dtype), shapes), attrs: attrs?.(shapes) ?? {} }
}

/** Queues the call; with `out` into these outputs. */
export function run({ op, inputs, attrs }: OpCall, out?: Record<string, Tensor>): Record<string, Tensor> {
  return callOp(op, inputs, { ...attrs, ...(out && op.outputs.length > 0 && { out }) })
}

/** Queues the product by cuBLAS instead. @throws `ERR_DEVICE` where it cannot be opened, `ERR_TYPE`, `ERR_SHAPE` where it is no plain product */
export function runByCublas(call: OpCall, out?: Record<string, Tensor>): Record<string, Tensor> {
  const { device } = Object.values(call.inputs)[0]!
  native.runCublas(place(call, device, out))
  return Object.fromEntries(call.op.outputs.map((o, i) => [o.name, result(i, device, out?.[o.name])]))
}

/** Writes the call into the argument array, as bindings/op_calls.cpp reads it; returns the op's number. */
function place({ op, inputs, attrs }: OpCall, device: Device, out?: Record<string, Tensor>): number {
  const args = native.arguments
  let at = 0
  args[at++] = device.index
  for (const i of op.inputs) args[at++] = inputs[i.name]?.id ?? -1
  for (const a of op.attrs) args[at++] = Number(attrs[a.name] ?? a.default)
  for (const o of op.outputs) args[at++] = out?.[o.name]?.id ?? -1
  return numbers.get(op.name)!
}

export function disposeAll(tensors: Record<string, Tensor>): void {
  for (const t of Object.values(tensors)) t.dispose()
}

/** The least bytes and the operations of a call, as the op table states them; operations are NaN where only its inputs' contents tell. */
export function costOf(call: OpCall, device: Device): { bytes: number; flops: number } {
  native.cost(place(call, device))
  const [bytes, flops] = native.arguments
  return { bytes: bytes!, flops: flops! }
}

/** Shapes of the first inputs, as tables print them. */
export const shapesOf = ({ op, inputs }: OpCall): string =>
  op.inputs
    .flatMap((i) => (inputs[i.name] ? [`${i.name} [${inputs[i.name]!.shape.join(', ')}]`] : []))
    .slice(0, 3)
    .join(', ')
