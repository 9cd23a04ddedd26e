import { createHash } from 'node:crypto'
import { callOf, dtypeOf, invoke, opNamed, outputsOf, table } from '../../lib/conformance/harness.js'
import type { Input, OpCase, OpRow } from '../../lib/conformance/row.js'
import { conformanceRows } from '../../lib/conformance/rows.js'
import type { NativeOp } from '../../lib/tensor/native.js'
import { type DType, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { Finding, type World } from './world.js'

// Calls that are right: the small cases of the conformance table. Each is run once before anything else; among any number
// of broken calls it has to give the same bits again.

export interface ValidCall {
  op: NativeOp
  row: OpRow
  case: OpCase
  float: 'f32' | 'bf16'
  digest: string
}

const smallEnough = 20_000 // elements of all inputs: a call takes about a millisecond at most

/** Uploads one input of a case. */
export function place(op: NativeOp, name: string, input: Input, float: 'f32' | 'bf16', device: string): Tensor {
  return upload(input.values, input.shape, dtypeOf(op, name, input, float), device)
}

export function upload(values: ArrayLike<number>, shape: readonly number[], dtype: DType, device: string): Tensor {
  const data =
    dtype === 'i32' ? Int32Array.from(values) : dtype === 'u8' ? Uint8Array.from(values) : Float32Array.from(values)
  return tensor(data, shape, { device, dtype })
}

/** Runs the call and gives its outputs and inouts by name; packed ones are left out, for nothing can read them. */
async function outcome(call: Omit<ValidCall, 'digest'>, device: string) {
  const { op, float } = call
  const inputs: Record<string, Tensor> = {}
  for (const [name, input] of Object.entries(call.case.inputs)) inputs[name] = place(op, name, input, float, device)
  const results = outputsOf(op, invoke(op, inputs, { ...call.case.attrs }))
  for (const { name, inout } of op.inputs) if (inout && inputs[name]) results[name] = inputs[name]
  const read = Object.entries(results).map(async ([name, t]) => [name, t.layout ? null : await t.toArray()] as const)
  const values = await Promise.all(read)
  for (const t of [...Object.values(inputs), ...Object.values(results)]) t.dispose()
  return values.filter(([, data]) => data !== null) as [string, Float32Array | Int32Array | Uint8Array][]
}

function digestOf(values: [string, Float32Array | Int32Array | Uint8Array][]): string {
  const hash = createHash('sha256')
  for (const [name, data] of values) hash.update(name).update(data)
  return hash.digest('hex')
}

/** Every number is finite where the float64 reference's is. */
function expectFinite(call: Omit<ValidCall, 'digest'>, values: [string, ArrayLike<number>][]): void {
  const { op, row, float } = call
  const reference = row.check ? {} : row.reference(callOf(op, call.case, float), (x) => x)
  for (const [name, data] of values) {
    for (let i = 0; i < data.length; i++) {
      const want = reference[name]?.[i] ?? 0
      if (!Number.isFinite(data[i]!) && Number.isFinite(want))
        throw new Finding(`${op.name}, ${call.case.name}, ${float}: ${name}[${i}] is ${data[i]}, expected ${want}`)
    }
  }
}

/** Every small case of the conformance table (of at most `elements` in its inputs) with the bits that it gives on a fresh device. */
export async function prepareValidCalls(device: string, most = smallEnough): Promise<ValidCall[]> {
  const calls: ValidCall[] = []
  for (const row of (await conformanceRows()).values()) {
    if (!table.has(row.op)) continue
    const op = opNamed(row.op)
    for (const one of row.cases) {
      const elements = Object.values(one.inputs).reduce((sum, i) => sum + i.values.length, 0)
      if (elements > most) continue
      for (const float of ['f32', 'bf16'] as const) {
        if (float === 'bf16' && row.skip?.includes('bf16')) continue
        const call = { op, row, case: one, float }
        const values = await outcome(call, device)
        expectFinite(call, values)
        calls.push({ ...call, digest: digestOf(values) })
      }
    }
  }
  return calls
}

/** Runs a right call; it gives the bits of its first time. */
export async function validCall(world: World, calls: readonly ValidCall[]): Promise<void> {
  const call = world.random.pick(calls)
  const what = `${call.op.name}, ${call.case.name}, ${call.float}`
  await world.settle()
  await world.succeed(what, async () => {
    const digest = digestOf(await outcome(call, world.device.name))
    if (digest !== call.digest) throw new Finding(`${what}: other bits than in a fresh process`)
  })
}
