import type { DecoderConfig } from '../../../lib/nn/config.js'
import { initializeParams } from '../../../lib/nn/init.js'
import { type ComputeDType, ParamStore } from '../../../lib/nn/params.js'
import { device } from '../../../lib/tensor/device.js'

const base: DecoderConfig = {
  family: 'llama',
  vocabSize: 61,
  hiddenSize: 40,
  intermediateSize: 52,
  numLayers: 2,
  numHeads: 6,
  numKvHeads: 2,
  headDim: 12,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  ropeScaling: null,
  tieWordEmbeddings: true,
  attentionBias: false,
  qkNorm: false,
  maxPositionEmbeddings: 512,
  bosTokenId: null,
  eosTokenIds: [],
  padTokenId: null,
}

/** One tiny model of each family: grouped heads, odd sizes, head dimension 64. */
export const tinyConfigs: Record<string, DecoderConfig> = {
  llama: base,
  'llama, head dimension 64': { ...base, vocabSize: 111, hiddenSize: 64, headDim: 64, numHeads: 3, numKvHeads: 1 },
  qwen2: { ...base, family: 'qwen2', attentionBias: true, tieWordEmbeddings: false, hiddenSize: 36, headDim: 20 },
  qwen3: { ...base, family: 'qwen3', qkNorm: true, numHeads: 4, numKvHeads: 4, headDim: 32, intermediateSize: 44 },
}

/** Random weights, large enough that tokens have clearly different probabilities. */
export function tinyParams(config: DecoderConfig, dtype: ComputeDType, seed = 1): ParamStore {
  const params = new ParamStore(config, device('cpu'), dtype)
  initializeParams(params, { seed, std: 0.3 })
  return params
}
