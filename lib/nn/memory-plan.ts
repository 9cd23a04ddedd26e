import type { Device } from '../tensor/device.js'
import { dtypeBytes } from '../tensor/tensor.js'
import type { DecoderConfig } from './config.js'
import { type ComputeDType, ParamStore } from './params.js'

/** What a run needs, in bytes, by what it is for. */
export interface MemoryPlan {
  /** fp32 masters and the compute copies of the policy; the reference's copy too where there is one. */
  model: number
  grads: number
  /** Both moments of AdamW, fp32. */
  optimizer: number
  /** What the forward pass of one microbatch saves for its backward, and the largest temporaries. */
  activations: number
  /** Keys and values of the rollouts. */
  kv: number
  total: number
}

export interface MemoryPlanInput {
  config: DecoderConfig
  dtype: ComputeDType
  /** The device that it will run on: how many copies of a weight it wants. Default: as many as the cpu. */
  device?: Pick<Device, 'packedWeights'>
  /** Rows of the largest microbatch. */
  rowsPerMicrobatch: number
  /** Bytes that rollouts may use for keys and values. */
  kvMemory: number
  train: boolean
  /** A frozen copy of the initial weights (beta > 0). */
  reference: boolean
  checkpointActivations: boolean
}

/** Bytes that one row of one layer leaves behind for the backward pass. */
function activationBytesPerRow(config: DecoderConfig, dtype: ComputeDType): number {
  const q = config.numHeads * config.headDim
  const qkv = q + 2 * config.numKvHeads * config.headDim
  // two sums and two normed inputs; qkv (twice with a head norm); attention's output; gate and up; their product
  const values = 4 * config.hiddenSize + qkv * (config.qkNorm ? 2 : 1) + q + 3 * config.intermediateSize
  return values * dtypeBytes[dtype] + 4 * (config.numHeads + 2)
}

/** Predicts the peak before anything is allocated; the trainer prints it and compares it with what was really used. */
export function memoryPlan(input: MemoryPlanInput): MemoryPlan {
  const { config, dtype, rowsPerMicrobatch: rows, train } = input
  const bytes = ParamStore.bytes(config, dtype, input.device)
  const perLayer = activationBytesPerRow(config, dtype) * rows
  const stream = 2 * config.hiddenSize * dtypeBytes[dtype] * rows
  // checkpointing keeps each layer's input and, while it runs again, one layer's activations
  const saved = input.checkpointActivations ? config.numLayers * stream + perLayer : config.numLayers * perLayer
  // gradients on their way back: the widest is that of gate and up
  const transient = (2 * config.intermediateSize + 2 * config.hiddenSize) * dtypeBytes[dtype] * rows
  const model = bytes.master + (train ? bytes.compute : bytes.frozen) + (input.reference ? bytes.frozen : 0)
  const grads = train ? bytes.grads : 0
  const optimizer = train ? 2 * bytes.master : 0
  const activations = (train ? saved : 2 * stream) + transient
  const total = model + grads + optimizer + activations + input.kvMemory
  return { model, grads, optimizer, activations, kv: input.kvMemory, total }
}
