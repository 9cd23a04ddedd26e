import { Maker, type OpShapes } from '../../conformance/bench.js'
import { invoke, opNamed, outputsOf, table } from '../../conformance/harness.js'
import type { OpRow } from '../../conformance/row.js'
import type { Device } from '../../tensor/device.js'
import { type NativeOp, native } from '../../tensor/native.js'
import type { Tensor } from '../../tensor/tensor.js'

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
  return outputsOf(op, invoke(op, inputs, { ...attrs, ...(out && op.outputs.length > 0 && { out }) }))
}

export function disposeAll(tensors: Record<string, Tensor>): void {
  for (const t of Object.values(tensors)) t.dispose()
}

/** The least bytes and the operations of a call, as the op table states them; operations are NaN where only its inputs' contents tell. */
export function costOf({ op, inputs, attrs }: OpCall, device: Device): { bytes: number; flops: number } {
  const args = native.arguments
  let at = 0
  args[at++] = device.index
  for (const i of op.inputs) args[at++] = inputs[i.name]?.id ?? -1
  for (const a of op.attrs) args[at++] = Number(attrs[a.name] ?? a.default)
  for (const _ of op.outputs) args[at++] = -1
  native.cost([...table.keys()].indexOf(op.name))
  return { bytes: args[0]!, flops: args[1]! }
}

/** Shapes of the first inputs, as tables print them. */
export const shapesOf = ({ op, inputs }: OpCall): string =>
  op.inputs
    .flatMap((i) => (inputs[i.name] ? [`${i.name} [${inputs[i.name]!.shape.join(', ')}]`] : []))
    .slice(0, 3)
    .join(', ')
