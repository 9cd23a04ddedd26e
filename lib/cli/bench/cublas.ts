// cuBLAS beside our products: where a CUDA device can open it (native/cuda/cublas.h), the same call on the same tensors, timed in turns.

import type { CallOp } from '../../conformance/harness.js'
import type { OpCase, OpRow } from '../../conformance/row.js'
import { bfloat16IsAsGoodAsPlain, matchesReference } from '../../conformance/suite.js'
import type { Device } from '../../tensor/device.js'
import { native } from '../../tensor/native.js'
import { type OpCall, runByCublas } from './op-call.js'
import { type CacheFlush, type Quantiles, Sampler, timePair } from './op-timing.js'

/** Ops that are one product, so that cuBLAS can do them whole. `linearLogprob` never stores the product that it sums up. */
const products = ['linear', 'linearBackwardInput', 'linearBackwardWeight', 'matmul']

/** Microseconds of cuBLAS; ratios are our time over its time, the median over turns. */
export interface CublasTiming extends Quantiles {
  ratio: number
  cold: Quantiles
  coldRatio: number
}

/** A time, or why there is none: a wrong answer is not timed. */
export type CublasResult = CublasTiming | { refused: string }

/** What cuBLAS is called, or why there is none. */
export type CublasLibrary = { name: string } | { reason: string }

/** cuBLAS for a device; null on devices that are no GPU. */
export function cublasOf(device: Device): CublasLibrary | null {
  if (!device.name.startsWith('cuda')) return null
  const { name, reason } = native.cublas(device.index)
  return name === undefined ? { reason: reason! } : { name }
}

/** A bias and a residual are no part of the product, and a product without elements is none. */
const isPlain = ({ inputs }: OpCase): boolean =>
  !inputs.bias && !inputs.residual && Object.values(inputs).every(({ shape }) => !shape.includes(0))

const byCublas: CallOp = (op, inputs, { out, ...attrs }) =>
  runByCublas({ op, inputs, attrs: attrs as OpCall['attrs'] }, out as OpCall['inputs'] | undefined)

/**
 * Runs the op's plain conformance cases by cuBLAS; what is wrong, or null. The bounds are those of our kernel, which TF32 would not meet.
 */
async function wrongAnswer(row: OpRow, device: Device, dtype: 'f32' | 'bf16'): Promise<string | null> {
  const plain = { ...row, cases: row.cases.filter(isPlain) }
  try {
    if (dtype === 'f32') await matchesReference(plain, device.name, { call: byCublas })
    else await bfloat16IsAsGoodAsPlain(plain, device.name, { call: byCublas })
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Checks cuBLAS's answers for the row's op and times it beside our kernel on `call`'s tensors; null for an op that is no product. */
export async function compareWithCublas(
  row: OpRow,
  call: OpCall,
  dtype: 'f32' | 'bf16',
  { device, flush, seconds }: { device: Device; flush: CacheFlush; seconds: number },
): Promise<CublasResult | null> {
  if (!products.includes(row.op)) return null
  const refused = await wrongAnswer(row, device, dtype)
  if (refused !== null) return { refused }
  const { bias: _, residual: __, ...inputs } = call.inputs
  const plain = { ...call, inputs }
  const ours = await Sampler.of(plain, device)
  try {
    const theirs = await Sampler.of(plain, device, runByCublas, ours)
    const { hot, cold, ratio, coldRatio } = await timePair([ours, theirs], flush, seconds)
    return { ...hot[1], ratio, cold: cold[1], coldRatio }
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) }
  } finally {
    ours.dispose()
  }
}

/** The report's lines about cuBLAS. */
export function cublasNotes(
  library: CublasLibrary | null,
  results: readonly { op: string; dtype: string; cublas: CublasResult | null }[],
): string[] {
  if (library === null) return []
  if ('reason' in library) return [`cuBLAS: ${library.reason}`]
  const refused = results.flatMap(({ op, dtype, cublas }) =>
    cublas && 'refused' in cublas ? [`cuBLAS is not timed: ${op} ${dtype}: ${cublas.refused}`] : [],
  )
  return [
    `${library.name}: plain products without bias and residual, f32 without TF32, bf16 summed in f32; ratio: our time over its time, in turns on the same tensors; linearLogprob is not compared`,
    ...refused,
  ]
}
