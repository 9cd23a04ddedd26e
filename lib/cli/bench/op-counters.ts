import { deviceCounters, h100LowerBound, type KernelCounts } from '../../tensor/counters.js'
import type { Device } from '../../tensor/device.js'
import { disposeAll, type OpCall, run } from './op-call.js'

/** What one call asks of a GPU, from the emulator's counters; memory figures need its checked build. */
export interface OpCounters {
  /** Bytes of the different sectors that its launches read and write: what memory moves if every reuse hits L2. */
  moved: number
  /** `moved` over the least bytes of the op. */
  movedOverLeast: number
  /** Bytes of the sectors that warps ask for, what comes from caches included. */
  asked: number
  /** `asked` over what the kernel's tiles move at least; null where the op is not made of tiles. */
  askedOverTiles: number | null
  /** `asked` over the sectors that would hold the bytes that each warp touches: 1 where every access is coalesced. */
  askedOverTouched: number
  /** Passes through the banks of shared memory, and those beyond the least. */
  sharedPasses: number
  bankConflicts: number
  mma: number
  barriers: number
  launches: number
  /** Accesses whose lanes could not be matched for sure: where it is not 0, sectors and passes are estimates. */
  uncertain: number
  /** Microseconds below which an H100 SXM cannot go. */
  h100Microseconds: number
  kernels: KernelCounts[]
}

/** Runs the call once and counts it; `bytes` and `flops` are the op's least, `tiles` the bytes of its tiling. */
export async function countCall(
  call: OpCall,
  device: Device,
  { bytes: least, flops, tiles }: { bytes: number; flops: number; tiles?: number | undefined },
): Promise<OpCounters> {
  const out = run(call)
  await device.synchronize()
  deviceCounters(device, true)
  run(call, out)
  await device.synchronize()
  const kernels = deviceCounters(device, false)
  disposeAll(out)
  const sum = (key: Exclude<keyof KernelCounts, 'kernel'>) => kernels.reduce((all, k) => all + k[key], 0)
  const ratio = (a: number, b: number) => (b === 0 ? 1 : a / b)
  const moved = 32 * (sum('readUnique') + sum('writeUnique'))
  const sectors = sum('readSectors') + sum('writeSectors')
  return {
    moved,
    movedOverLeast: ratio(moved, least),
    asked: 32 * sectors,
    askedOverTiles: tiles ? (32 * sectors) / tiles : null,
    askedOverTouched: ratio(sectors, sum('leastSectors')),
    sharedPasses: sum('sharedWaves'),
    bankConflicts: sum('sharedWaves') - sum('sharedLeast'),
    mma: sum('mma'),
    barriers: sum('barriers'),
    launches: sum('launches'),
    uncertain: sum('uncertain'),
    h100Microseconds: h100Microseconds(kernels, flops),
    kernels,
  }
}

/** Microseconds below which an H100 SXM cannot run these kernels one after another, for an op of `flops` operations. */
export const h100Microseconds = (kernels: readonly KernelCounts[], flops: number): number =>
  1e6 * kernels.reduce((all, k) => all + h100LowerBound(k, shareOf(flops, kernels, k)), 0)

/** The op's operations for the kernel that reads most, from memory and shared memory, unless tensor cores do them. */
function shareOf(flops: number, kernels: readonly KernelCounts[], kernel: KernelCounts): number {
  if (!Number.isFinite(flops) || kernels.some((k) => k.mma > 0)) return 0
  const reads = (k: KernelCounts) => k.readSectors + k.sharedWaves
  return kernels.reduce((a, b) => (reads(b) > reads(a) ? b : a)) === kernel ? flops : 0
}
