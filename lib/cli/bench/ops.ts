import { fail } from '../../errors.js'
import { type Device, device as openDevice } from '../../tensor/device.js'
import { type NativeOp, native } from '../../tensor/native.js'
import * as generated from '../../tensor/ops.generated.js'
import { Tensor } from '../../tensor/tensor.js'
import { table } from '../ui/table.js'
import { Maker, type OpBenchCase, opCases } from './op-cases.js'

export interface OpBenchOptions {
  device?: string
  /** Only these ops; default all. */
  ops?: readonly string[]
  dtypes?: readonly ('f32' | 'bf16')[]
  /** Time given to each measurement, in seconds. */
  seconds?: number
  /** Called with each result as it comes. */
  onResult?: (result: OpBenchResult) => void
}

/** What this machine reaches, measured in the same run. */
export interface Roofs {
  /** GB/s of the copy op on 64 MB, bytes read plus bytes written. */
  copy: number
  /** GFLOP/s of a 1024 x 1024 x 1024 product. */
  f32: number
  bf16: number
}

export interface OpBenchResult {
  op: string
  dtype: 'f32' | 'bf16'
  /** Shapes of the inputs. */
  shape: string
  /** Microseconds of one call on the device. */
  median: number
  p20: number
  p80: number
  /** Microseconds that the call itself keeps JavaScript busy. */
  host: number
  /** Bytes that must move at least, floating-point operations. */
  bytes: number
  flops: number
  gbPerSecond: number
  gflopPerSecond: number
  /** The time that the roofs allow, over the time it took; above 1 where the data lies in a cache. */
  roofShare: number
  /** bf16: largest difference to the same op in f32, of max(1, largest magnitude). null in f32. */
  error: number | null
}

export interface OpBenchReport {
  device: string
  description: string
  threads: number
  roofs: Roofs
  results: OpBenchResult[]
}

type OpFunction = (...args: unknown[]) => unknown
const functions = generated as unknown as Record<string, OpFunction>
const declared = new Map(native.ops().map((op, index) => [op.name, { ...op, index }]))

interface PreparedCall {
  op: NativeOp & { index: number }
  inputs: Record<string, Tensor>
  attrs: Record<string, number | boolean>
}

function prepare(c: OpBenchCase, device: Device, dtype: 'f32' | 'bf16'): PreparedCall {
  const op = declared.get(c.op)
  if (!op) fail('RangeError', 'ERR_CONFIG', `[bench] expected an op of the native table, got "${c.op}"`)
  return { op, inputs: c.inputs(new Maker(device, dtype)), attrs: c.attrs ?? {} }
}

function invoke({ op, inputs, attrs }: PreparedCall, out?: Record<string, Tensor>): Record<string, Tensor> {
  const required = op.inputs.filter((i) => !i.optional).map((i) => inputs[i.name])
  const options: Record<string, unknown> = { ...attrs }
  for (const i of op.inputs) if (i.optional) options[i.name] = inputs[i.name]
  if (out && op.outputs.length > 0) options.out = out
  const result = functions[op.name]!(...required, options)
  const all = result instanceof Tensor ? { [op.outputs[0]!.name]: result } : ((result ?? {}) as Record<string, Tensor>)
  return Object.fromEntries(Object.entries(all).filter(([, t]) => t))
}

/** The least bytes and the operations of a call, as the op table states them; operations are NaN where only its inputs' contents tell. */
function costOf({ op, inputs, attrs }: PreparedCall, device: Device): { bytes: number; flops: number } {
  const args = native.arguments
  let at = 0
  args[at++] = device.index
  for (const i of op.inputs) args[at++] = inputs[i.name]?.id ?? -1
  for (const a of op.attrs) args[at++] = Number(attrs[a.name] ?? a.default)
  for (const _ of op.outputs) args[at++] = -1
  native.cost(op.index)
  return { bytes: args[0]!, flops: args[1]! }
}

const at = (sorted: readonly number[], share: number) => sorted[Math.floor(share * (sorted.length - 1))]!

/** Microseconds of a call, from samples of several calls each; outputs are written again and again. */
async function time(call: PreparedCall, device: Device, seconds: number) {
  const out = invoke(call)
  await device.synchronize()
  const once = performance.now()
  invoke(call, out)
  await device.synchronize()
  const first = Math.max(performance.now() - once, 0.02)
  const repeats = Math.max(1, Math.min(500, Math.round(4 / first))) // samples of some 4 ms
  const samples: number[] = []
  const host: number[] = []
  const end = performance.now() + seconds * 1000
  while (samples.length < 5 || (performance.now() < end && samples.length < 200)) {
    const start = performance.now()
    for (let i = 0; i < repeats; i++) invoke(call, out)
    const queued = performance.now()
    await device.synchronize()
    samples.push(((performance.now() - start) / repeats) * 1000)
    host.push(((queued - start) / repeats) * 1000)
  }
  for (const t of Object.values(out)) t.dispose()
  samples.sort((a, b) => a - b)
  host.sort((a, b) => a - b)
  return { median: at(samples, 0.5), p20: at(samples, 0.2), p80: at(samples, 0.8), host: at(host, 0.5) }
}

function disposeAll(tensors: Record<string, Tensor>): void {
  for (const t of Object.values(tensors)) t.dispose()
}

async function measureRoofs(device: Device): Promise<Roofs> {
  const size = 16 * 2 ** 20
  const copyCase: OpBenchCase = {
    op: 'copy',
    dtypes: ['f32'],
    inputs: (m) => ({ x: m.normal([size]), into: m.normal([size]) }),
  }
  const product: OpBenchCase = {
    op: 'matmul',
    dtypes: ['f32'],
    inputs: (m) => ({ a: m.normal([1024, 1024]), b: m.normal([1024, 1024]) }),
  }
  const rate = async (c: OpBenchCase, dtype: 'f32' | 'bf16', amount: number) => {
    const call = prepare(c, device, dtype)
    const { median } = await time(call, device, 0.4)
    disposeAll(call.inputs)
    return amount / median / 1000
  }
  const copy = await rate(copyCase, 'f32', 2 * 4 * size)
  const [f32, bf16] = [await rate(product, 'f32', 2 * 1024 ** 3), await rate(product, 'bf16', 2 * 1024 ** 3)]
  return { copy, f32, bf16 }
}

/** Largest difference of the bf16 op to the f32 op on the numbers that bf16 holds. */
async function errorOfBFloat16(c: OpBenchCase, device: Device): Promise<number> {
  const narrow = prepare(c, device, 'bf16')
  const wide: PreparedCall = { ...narrow, inputs: {} }
  for (const i of narrow.op.inputs) {
    const t = narrow.inputs[i.name]
    if (!t) continue
    const widen = t.dtype === 'bf16' && i.dtypes.includes('f32')
    const copied = new Maker(device, 'f32').uninitialised([...t.shape], widen ? 'f32' : t.dtype)
    generated.copy(t, copied)
    wide.inputs[i.name] = copied
  }
  const results = [invoke(narrow), invoke(wide)] as const
  let error = 0
  const names = [...Object.keys(results[0]), ...narrow.op.inputs.filter((i) => i.inout).map((i) => i.name)]
  for (const name of names) {
    const [a, b] = [results[0][name] ?? narrow.inputs[name], results[1][name] ?? wide.inputs[name]]
    if (!a || !b || a.layout || b.layout) continue
    const [x, y] = [await a.toArray(), await b.toArray()]
    let [difference, magnitude] = [0, 1]
    for (let k = 0; k < y.length; k++) {
      difference = Math.max(difference, Math.abs(x[k]! - y[k]!))
      magnitude = Math.max(magnitude, Math.abs(y[k]!))
    }
    error = Math.max(error, difference / magnitude)
  }
  for (const tensors of [...results, narrow.inputs, wide.inputs]) disposeAll(tensors)
  return error
}

const shapesOf = (call: PreparedCall) =>
  call.op.inputs
    .flatMap((i) => (call.inputs[i.name] ? [`${i.name} [${call.inputs[i.name]!.shape.join(', ')}]`] : []))
    .slice(0, 3)
    .join(', ')

/**
 * Measures every op of the native table at the shapes of a small model.
 *
 * @throws `ERR_CONFIG` for an op that the table does not have, `ERR_DEVICE` for a device that is not available
 */
export async function benchOps(options: OpBenchOptions = {}): Promise<OpBenchReport> {
  const { ops, dtypes = ['f32', 'bf16'], seconds = 0.3, onResult } = options
  const device = openDevice(options.device ?? 'cpu')
  for (const op of ops ?? []) {
    if (!declared.has(op)) {
      fail('RangeError', 'ERR_CONFIG', `[bench] expected one of ${[...declared.keys()].join(', ')}, got "${op}"`)
    }
  }
  const roofs = await measureRoofs(device)
  const results: OpBenchResult[] = []
  for (const c of opCases()) {
    if (!declared.has(c.op) || (ops && !ops.includes(c.op))) continue
    for (const dtype of c.dtypes.filter((d) => dtypes.includes(d))) {
      const call = prepare(c, device, dtype)
      const stated = costOf(call, device)
      const cost = { ...stated, flops: c.flops ?? stated.flops }
      const timing = await time(call, device, seconds)
      const floor = Math.max(cost.bytes / roofs.copy, cost.flops / roofs[dtype]) / 1000 // microseconds
      const shape = shapesOf(call)
      disposeAll(call.inputs)
      const result: OpBenchResult = {
        op: c.op,
        dtype,
        shape,
        ...timing,
        ...cost,
        gbPerSecond: cost.bytes / timing.median / 1000,
        gflopPerSecond: cost.flops / timing.median / 1000,
        roofShare: floor / timing.median,
        error: dtype === 'bf16' && c.dtypes.length > 1 ? await errorOfBFloat16(c, device) : null,
      }
      results.push(result)
      onResult?.(result)
    }
  }
  return { device: device.name, description: device.description, threads: native.threads(), roofs, results }
}

const digits = (x: number) => (x === 0 ? '0' : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2))

/** The report as a table for a terminal. */
export function formatOpBench({ device, description, roofs, results }: OpBenchReport): string {
  const header = [
    'op',
    'dtype',
    'median µs',
    'p20',
    'p80',
    'GB/s',
    'GFLOP/s',
    'of roof',
    'MB',
    'error',
    'host µs',
    'shape',
  ]
  const rows = results.map((r) => [
    r.op,
    r.dtype,
    digits(r.median),
    digits(r.p20),
    digits(r.p80),
    digits(r.gbPerSecond),
    digits(r.gflopPerSecond),
    `${(100 * r.roofShare).toFixed(0)} %`,
    digits(r.bytes / 1e6),
    r.error === null ? '–' : r.error.toExponential(1),
    digits(r.host),
    r.shape,
  ])
  return [
    `${device}: ${description}`,
    `roofs: copy ${roofs.copy.toFixed(1)} GB/s, f32 ${roofs.f32.toFixed(0)} GFLOP/s, bf16 ${roofs.bf16.toFixed(0)} GFLOP/s`,
    '',
    table(header, rows),
  ].join('\n')
}
