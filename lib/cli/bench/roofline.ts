// The roofline of a report of `callgrad bench ops` as data for a page: rates over arithmetic intensity, under the roofs of the machine
// that was measured; of an emulated device the counted intensity under an H100's roofs.

import { h100 } from '../../tensor/counters.js'
import type { OpBenchReport, OpBenchResult } from './ops.js'

export interface RooflinePoint {
  label: string
  dtype: 'f32' | 'bf16'
  /** Floating-point operations a byte. */
  intensity: number
  /** GFLOP/s. */
  rate: number
  /** What hovering shows. */
  note: string
}

export interface Roofline {
  /** GB/s. */
  bandwidth: number
  /** GFLOP/s of the ceilings, by name. */
  ceilings: Record<string, number>
  points: RooflinePoint[]
}

const h100Roofs = {
  copy: h100.bytesPerSecond / 1e9,
  f32: h100.f32FlopsPerSecond / 1e9,
  bf16: h100.mmaFlopsPerSecond / 1e9,
}

function pointOf({ op, dtype, flops, bytes, timing, counters }: OpBenchResult): RooflinePoint | null {
  if (!flops) return null
  if (timing?.gflopPerSecond) {
    const note = `${(100 * timing.roofShare).toFixed(0)} % of the roof, bound by ${timing.bound}`
    return { label: op, dtype, intensity: flops / bytes, rate: timing.gflopPerSecond, note }
  }
  if (!counters || counters.moved === 0) return null
  const rate = flops / counters.h100Microseconds / 1000
  const note = `at least ${counters.h100Microseconds.toPrecision(2)} µs on an H100`
  return { label: op, dtype, intensity: flops / counters.moved, rate, note }
}

export function rooflineOf(report: OpBenchReport): Roofline {
  const roofs = report.roofs ?? h100Roofs
  const ceilings: Record<string, number> = report.roofs
    ? { 'f32 product': roofs.f32, 'bf16 product': roofs.bf16 }
    : { 'fp32 outside of tensor cores': roofs.f32, 'bf16 tensor cores': roofs.bf16 }
  const points = report.results.flatMap((r) => pointOf(r) ?? []).sort((a, b) => a.intensity - b.intensity)
  return { bandwidth: roofs.copy, ceilings, points }
}
