// `callgrad bench ops`: every op of the native table at the shapes of a small model. The ops, their checks and their shapes come from the
// conformance table (lib/conformance).

import { cpus } from 'node:os'
import { emulatedShapes, type OpShapes, smollm2Shapes } from '../../conformance/bench.js'
import type { OpRow } from '../../conformance/row.js'
import { conformanceRows } from '../../conformance/rows.js'
import { bfloat16IsAsGoodAsPlain, matchesReference } from '../../conformance/suite.js'
import { fail } from '../../errors.js'
import { type Device, device as openDevice } from '../../tensor/device.js'
import { native } from '../../tensor/native.js'
import { type CublasLibrary, type CublasResult, compareWithCublas, cublasOf } from './cublas.js'
import { type GpuClocks, gpuClocks } from './gpu-clocks.js'
import { costOf, disposeAll, prepare, shapesOf } from './op-call.js'
import { countCall, type OpCounters } from './op-counters.js'
import { CacheFlush, type OpTiming, quantiles, timeCall, timedByEvents } from './op-timing.js'
import { RoofSamplers, type Roofs } from './roofs.js'

type Float = 'f32' | 'bf16'

export interface OpBenchOptions {
  device?: string
  /** Only these ops; default all. */
  ops?: readonly string[]
  dtypes?: readonly Float[]
  /** Time given to each measurement, in seconds. */
  seconds?: number
  /** Default: SmolLM2-135M's on a device, smaller ones on an emulated device. */
  shapes?: OpShapes
  /** Called with each result as it comes. */
  onResult?: (result: OpBenchResult) => void
}

export interface OpRates extends OpTiming {
  gbPerSecond: number
  /** null where the operations are not known. */
  gflopPerSecond: number | null
  /**
   * The time that the roof allows over the time it took, both measured in turns; above 1 where the data lies in a cache.
   */
  roofShare: number
  bound: 'memory' | 'arithmetic'
}

export interface OpBenchResult {
  op: string
  dtype: Float
  /** Shapes of the inputs. */
  shape: string
  /** Bytes that must move at least. */
  bytes: number
  /** Floating-point operations; null where they are not known. */
  flops: number | null
  /** Largest difference to the float64 reference over the op's conformance cases, of max(1, largest magnitude). */
  error: number
  /** null on an emulated device: its time says nothing. */
  timing: OpRates | null
  /** null on a device that counts nothing. */
  counters: OpCounters | null
  /** cuBLAS beside a product's time; null where the op is no product, or the device has no cuBLAS. */
  cublas: CublasResult | null
  /** What measures this row again. */
  command: string
}

export interface Refusal {
  op: string
  dtype: Float
  /** What the check found. */
  reason: string
}

export interface OpBenchReport {
  version: 1
  date: string
  device: string
  description: string
  cpu: string
  threads: number
  node: string
  /** null on an emulated device. */
  roofs: Roofs | null
  /** Microseconds of a synchronisation with nothing to wait for; part of every cold time. null where device events tell the time. */
  emptySync: number | null
  clocks: GpuClocks | null
  /** null on a device that is no GPU. */
  cublas: CublasLibrary | null
  results: OpBenchResult[]
  /** Ops that were not measured, because they are wrong. */
  refused: Refusal[]
}

/** The rows to measure, in the order of the native table. @throws `ERR_CONFIG` for an op that the table does not have */
export async function rowsOf(ops: readonly string[] | undefined): Promise<OpRow[]> {
  const rows = await conformanceRows()
  const names = native.ops().map(({ name }) => name)
  for (const op of ops ?? []) {
    if (names.includes(op)) continue
    fail('RangeError', 'ERR_CONFIG', `[bench] expected one of ${names.join(', ')}, got "${op}"`)
  }
  return names.filter((name) => ops?.includes(name) ?? true).flatMap((name) => rows.get(name) ?? [])
}

/** Runs the op's cases; the largest error, or what is wrong. */
export async function checkRow(row: OpRow, device: string, dtype: Float): Promise<number | string> {
  try {
    return await (dtype === 'bf16' && row.bench.dtypes.includes('f32')
      ? bfloat16IsAsGoodAsPlain(row, device)
      : matchesReference(row, device))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

interface Rig {
  device: Device
  shapes: OpShapes
  seconds: number
  cublas: CublasLibrary | null
  /** null on an emulated device. */
  clock: { roofs: RoofSamplers; flush: CacheFlush; first: Roofs } | null
}

async function ratesOf(
  call: Parameters<typeof timeCall>[0],
  { bytes, flops }: { bytes: number; flops: number },
  dtype: Float,
  { device, seconds }: Rig,
  { roofs, flush, first }: NonNullable<Rig['clock']>,
): Promise<OpRates> {
  const known = Number.isFinite(flops)
  const bound = known && flops / first[dtype] > bytes / first.copy ? 'arithmetic' : 'memory'
  const roof = bound === 'memory' ? roofs.copy : roofs[dtype]
  const { timing, hot, beside } = await timeCall(call, device, flush, seconds, [roof])
  const floors = beside[0]!.map((time) => {
    const rates = roofs.rates([time, time, time])
    return bound === 'memory' ? bytes / rates.copy / 1000 : flops / rates[dtype] / 1000
  })
  return {
    ...timing,
    gbPerSecond: bytes / timing.median / 1000,
    gflopPerSecond: known ? flops / timing.median / 1000 : null,
    roofShare: quantiles(hot.map((time, i) => floors[i]! / time)).median,
    bound,
  }
}

async function measure(row: OpRow, dtype: Float, error: number, rig: Rig): Promise<OpBenchResult> {
  const { device, shapes, seconds, clock, cublas } = rig
  const call = prepare(row, shapes, device, dtype)
  const stated = costOf(call, device)
  const cost = { ...stated, flops: row.bench.flops?.(shapes) ?? stated.flops }
  try {
    return {
      op: row.op,
      dtype,
      shape: shapesOf(call),
      bytes: cost.bytes,
      flops: Number.isFinite(cost.flops) ? cost.flops : null,
      error,
      timing: clock ? await ratesOf(call, cost, dtype, rig, clock) : null,
      counters:
        device.name === 'simt'
          ? await countCall(call, device, { ...cost, tiles: dtype === 'bf16' ? row.bench.tiles?.(shapes) : undefined })
          : null,
      cublas:
        clock && cublas && 'name' in cublas
          ? await compareWithCublas(row, call, dtype, { device, flush: clock.flush, seconds })
          : null,
      command: `npx callgrad bench ops --op ${row.op} --dtype ${dtype === 'f32' ? 'fp32' : dtype} --device ${device.name}`,
    }
  } finally {
    disposeAll(call.inputs)
  }
}

async function openClock(device: Device): Promise<NonNullable<Rig['clock']>> {
  const roofs = await RoofSamplers.open(device)
  return { roofs, flush: new CacheFlush(device), first: await roofs.measure() }
}

async function emptySync(device: Device): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 51; i++) {
    const start = performance.now()
    await device.synchronize()
    times.push((performance.now() - start) * 1000)
  }
  return quantiles(times).median
}

/**
 * Checks and measures ops of the native table. On a device: time, hot and cold, in turns with the machine's roof. On `simt`: what the
 * checked build counts. On a CUDA device cuBLAS stands beside the products, where it can be opened. An op whose check fails is not measured but listed as refused.
 *
 * @throws `ERR_CONFIG` for an op that the table does not have, `ERR_DEVICE` for a device that is not available
 */
export async function benchOps(options: OpBenchOptions = {}): Promise<OpBenchReport> {
  const { ops, dtypes = ['f32', 'bf16'], seconds = 0.3, onResult } = options
  const rows = await rowsOf(ops)
  const emulated = options.device === 'simt'
  if (emulated) process.env.CALLGRAD_SIMT ??= 'checked' // the fast build sees no memory accesses
  const device = openDevice(options.device ?? 'cpu')
  const clock = emulated ? null : await openClock(device)
  const cublas = cublasOf(device)
  const shapes = options.shapes ?? (emulated ? emulatedShapes : smollm2Shapes)
  const report: OpBenchReport = {
    version: 1,
    date: new Date().toISOString(),
    device: device.name,
    description: device.description,
    cpu: cpus()[0]?.model ?? 'unknown',
    threads: native.threads(),
    node: process.version,
    roofs: clock?.first ?? null,
    emptySync: clock && !timedByEvents(device) ? await emptySync(device) : null,
    clocks: clock && timedByEvents(device) ? await gpuClocks(device, clock.roofs.bf16) : null,
    cublas,
    results: [],
    refused: [],
  }
  for (const row of rows) {
    for (const dtype of row.bench.dtypes.filter((d) => dtypes.includes(d))) {
      const checked = await checkRow(row, device.name, dtype)
      if (typeof checked === 'string') {
        report.refused.push({ op: row.op, dtype, reason: checked })
        continue
      }
      const result = await measure(row, dtype, checked, { device, shapes, seconds, cublas, clock })
      report.results.push(result)
      onResult?.(result)
    }
  }
  clock?.roofs.dispose()
  clock?.flush.dispose()
  return report
}
