import { describe, fail } from '../errors.js'
import type { Device } from './device.js'
import { native } from './native.js'
import { dtypes, Tensor } from './tensor.js'

// What the generated op functions share: writing the argument array, reading results.

export const args = native.arguments
const outputFields = 9

/** Starts a call: the first tensor decides the device. */
export function begin(first: Tensor | null | undefined, op: string, name: string): Device {
  id(first, op, name)
  const device = first!.device
  args[0] = device.index
  return device
}

export function checkOptions(options: unknown, op: string): void {
  if (typeof options !== 'object' || options === null)
    fail('TypeError', 'ERR_TYPE', `[${op}] expected options as an object, got ${describe(options)}`)
}

export function id(t: Tensor | null | undefined, op: string, name: string): number {
  if (!Tensor.is(t)) fail('TypeError', 'ERR_TYPE', `[${op}] expected a tensor for ${name}, got ${describe(t)}`)
  return t.id
}

export function optionalId(t: Tensor | null | undefined, op: string, name: string): number {
  return t === undefined || t === null ? -1 : id(t, op, name)
}

export function number(value: number, op: string, name: string): number {
  if (typeof value !== 'number')
    fail('TypeError', 'ERR_TYPE', `[${op}] expected a number for ${name}, got ${describe(value)}`)
  return value
}

export function optionalNumber(value: number | undefined, fallback: number, op: string, name: string): number {
  return value === undefined ? fallback : number(value, op, name)
}

/** Output `slot` of the call that just ran; an output that the op left out is the given tensor or a type lie of null. */
export function result(slot: number, device: Device, given: Tensor | undefined): Tensor {
  const at = slot * outputFields
  if (given) return given
  if (args[at] === -1) return null as unknown as Tensor
  const rank = args[at + 3]!
  const shape: number[] = []
  for (let i = 0; i < rank; i++) shape.push(args[at + 4 + i]!)
  let stride = 1
  for (let i = 1; i < rank; i++) stride *= shape[i]!
  return new Tensor(args[at]!, device, dtypes[args[at + 1]!]!, shape, stride, args[at + 2]!)
}
