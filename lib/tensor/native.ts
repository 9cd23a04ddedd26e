import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fail } from '../errors.js'
import { packageRoot } from './addon-file.js'

/** One declaration of the native op table; `scripts/generate-ops.mjs` turns these into `ops.generated.ts`. */
export interface NativeOp {
  name: string
  doc: string
  inputs: {
    name: string
    dtypes: string[]
    optional: boolean
    inout: boolean
    strided: boolean
    packed: boolean
    doc: string
  }[]
  outputs: { name: string; doc: string }[]
  attrs: { name: string; kind: 'float' | 'int' | 'bool'; default: number; required: boolean; doc: string }[]
}

export interface DeviceInfo {
  name: string
  available: boolean
  /** Why it is not available, and what would make it so. */
  reason?: string
  description: string
  /** Whether bf16 arithmetic is faster than fp32 here; what `dtype: 'auto'` looks at. */
  bf16: boolean
  /** Whether replaying recorded ops is cheaper than queueing them (see `record`). */
  replays: boolean
  /** Whether its GEMM reads weights in layouts of its own (`packWeight`); otherwise plain rows serve both directions. */
  packedWeights: boolean
  /** Of a GPU, domain:bus:device.function: the numbers in names follow `CUDA_VISIBLE_DEVICES`, those of nvidia-smi do not. */
  pciBusId?: string
}

/** What an emulated device counted for the launches of one kernel, summed. Sectors are 32 bytes; docs/simt.md has the rest. */
export interface KernelCounts {
  kernel: string
  launches: number
  blocks: number
  threads: number
  barriers: number
  warpBarriers: number
  /** Instructions: m16n8k16 of bf16, or m16n8k8 of tf32, which takes as long. */
  mma: number
  fma: number
  /** Sectors that warps ask for. */
  readSectors: number
  writeSectors: number
  /** Sectors that would hold the bytes that each warp touches. */
  leastSectors: number
  /** Different sectors touched in a launch. */
  readUnique: number
  writeUnique: number
  /** Passes through the banks of shared memory, and the least number of them. */
  sharedWaves: number
  sharedLeast: number
  /** Accesses whose lanes could not be matched for sure; where it is not 0, sectors and passes are estimates. */
  uncertain: number
}

export interface MemoryInfo {
  /** Bytes in live tensors. */
  allocated: number
  /** Highest `allocated` since the last reset. */
  peak: number
  /** Bytes held from the system, free blocks included. */
  reserved: number
  /** Requests that would take `reserved` past this fail. */
  limit: number
  /** Bytes of kernels' scratch space. */
  scratch: number
  /** Live tensors. */
  tensors: number
}

interface NativeAddon {
  /** Arguments and results of `run`, `create` and `view`; the layouts stand in bindings/op_calls.cpp and tensors.cpp. */
  arguments: Float64Array
  ops(): NativeOp[]
  /** All devices, or those of the named one's kind: asking for the cpu wakes no driver. */
  devices(name?: string): DeviceInfo[]
  openDevice(name: string): number
  run(op: number): void
  /** `run` of a product by cuBLAS, for benchmarks: linear and its gradients without bias and residual, or matmul, on a cuda device. */
  runCublas(op: number): void
  /** cuBLAS's name and version, or why there is none for this device. */
  cublas(device: number): { name?: string; reason?: string }
  cost(op: number): void
  create(): number
  view(): number
  release(id: number): boolean
  upload(id: number, data: NodeJS.TypedArray): void
  read(id: number): Promise<Float32Array | Uint16Array | Int32Array | Uint8Array>
  sync(device: number): Promise<void>
  startTimer(device: number): void
  /** One number: the microseconds. */
  stopTimer(device: number): Promise<Float64Array>
  memory(device: number): MemoryInfo
  resetPeak(device: number): void
  setMemoryLimit(device: number, bytes: number): void
  trim(device: number): number
  /** Starts (true) or ends counting on an emulated device; the counts since the last call. Waits for the stream. */
  count(device: number, start: boolean): KernelCounts[]
  threads(): number
  beginRecording(device: number): void
  /** The number of the recording that was begun. */
  endRecording(device: number): number
  replay(recording: number): void
  releaseRecording(recording: number): boolean
}

/** The prebuilt addon or the checkout's; CALLGRAD_ADDON names another one (a build over an emulated CUDA runtime). */
function load(): NativeAddon {
  const require = createRequire(import.meta.url)
  const other = process.env.CALLGRAD_ADDON
  try {
    return (other ? require(resolve(other)) : require('node-gyp-build')(packageRoot)) as NativeAddon
  } catch (error) {
    fail(
      'Error',
      'ERR_ADDON',
      `[callgrad] expected the native addon ${other ? `at ${other}` : `in ${packageRoot}`}; in a checkout, "npm run setup" builds it (${
        error instanceof Error ? error.message.split('\n')[0] : String(error)
      })`,
      error,
    )
  }
}

export const native = load()
