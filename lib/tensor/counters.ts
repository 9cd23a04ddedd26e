import type { Device } from './device.js'
import { type KernelCounts, native } from './native.js'

export type { KernelCounts } from './native.js'

/**
 * Counts what kernels do on an emulated device (`simt`): call with `true` to start anew, with `false` to end. Both return the
 * counts of each kernel since the last call, and wait for what is queued. Memory traffic needs the checked build
 * (`CALLGRAD_SIMT=checked`). Other devices count nothing.
 */
export function deviceCounters(device: Device, start: boolean): KernelCounts[] {
  return native.count(device.index, start)
}

/**
 * Roofs of an H100 SXM: HBM3 at 3.35 TB/s, dense bf16 tensor cores at 989 TFLOP/s, fp32 outside of them at 67 TFLOP/s (NVIDIA's H100
 * data sheet, which states the tensor cores with sparsity, twice of this).
 */
export const h100 = { bytesPerSecond: 3.35e12, mmaFlopsPerSecond: 989e12, f32FlopsPerSecond: 67e12 } as const

/**
 * Seconds below which an H100 SXM cannot run these launches: every different sector moves once, or the tensor cores do their work, or
 * `flops` fp32 operations outside of them are done, whichever takes longest. Needs the memory counts of the checked build.
 */
export function h100LowerBound(counts: KernelCounts, flops = 0): number {
  const bytes = (counts.readUnique + counts.writeUnique) * 32
  const products = counts.mma * 2 * 16 * 8 * 16
  return Math.max(bytes / h100.bytesPerSecond, products / h100.mmaFlopsPerSecond, flops / h100.f32FlopsPerSecond)
}
