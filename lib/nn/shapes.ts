import { fail } from '../errors.js'
import type { DecoderConfig } from './config.js'

const llama = {
  family: 'llama',
  rmsNormEps: 1e-5,
  ropeScaling: null,
  attentionBias: false,
  qkNorm: false,
  bosTokenId: 1,
  eosTokenIds: [2],
  padTokenId: null,
} as const

const qwen2 = {
  ...llama,
  family: 'qwen2',
  rmsNormEps: 1e-6,
  ropeTheta: 1e6,
  attentionBias: true,
  maxPositionEmbeddings: 32768,
  bosTokenId: null,
  eosTokenIds: [151645, 151643],
} as const

/** Architectures by name, as their config.json has them: for benchmarks and plans that need no weights. */
const shapes: Record<string, DecoderConfig> = {
  'smollm2-135m': {
    ...llama,
    eosTokenIds: [2],
    vocabSize: 49152,
    hiddenSize: 576,
    intermediateSize: 1536,
    numLayers: 30,
    numHeads: 9,
    numKvHeads: 3,
    headDim: 64,
    ropeTheta: 100000,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 8192,
  },
  'qwen2.5-0.5b': {
    ...qwen2,
    eosTokenIds: [...qwen2.eosTokenIds],
    vocabSize: 151936,
    hiddenSize: 896,
    intermediateSize: 4864,
    numLayers: 24,
    numHeads: 14,
    numKvHeads: 2,
    headDim: 64,
    tieWordEmbeddings: true,
  },
  'qwen2.5-1.5b': {
    ...qwen2,
    eosTokenIds: [...qwen2.eosTokenIds],
    vocabSize: 151936,
    hiddenSize: 1536,
    intermediateSize: 8960,
    numLayers: 28,
    numHeads: 12,
    numKvHeads: 2,
    headDim: 128,
    tieWordEmbeddings: true,
  },
  'qwen2.5-3b': {
    ...qwen2,
    eosTokenIds: [...qwen2.eosTokenIds],
    vocabSize: 151936,
    hiddenSize: 2048,
    intermediateSize: 11008,
    numLayers: 36,
    numHeads: 16,
    numKvHeads: 2,
    headDim: 128,
    tieWordEmbeddings: true,
  },
  'qwen2.5-7b': {
    ...qwen2,
    eosTokenIds: [...qwen2.eosTokenIds],
    vocabSize: 152064,
    hiddenSize: 3584,
    intermediateSize: 18944,
    numLayers: 28,
    numHeads: 28,
    numKvHeads: 4,
    headDim: 128,
    tieWordEmbeddings: false,
  },
  'qwen2.5-14b': {
    ...qwen2,
    eosTokenIds: [...qwen2.eosTokenIds],
    vocabSize: 152064,
    hiddenSize: 5120,
    intermediateSize: 13824,
    numLayers: 48,
    numHeads: 40,
    numKvHeads: 8,
    headDim: 128,
    tieWordEmbeddings: false,
  },
  'llama-3.1-8b': {
    ...llama,
    vocabSize: 128256,
    hiddenSize: 4096,
    intermediateSize: 14336,
    numLayers: 32,
    numHeads: 32,
    numKvHeads: 8,
    headDim: 128,
    ropeTheta: 500000,
    ropeScaling: {
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    },
    tieWordEmbeddings: false,
    maxPositionEmbeddings: 131072,
    bosTokenId: 128000,
    eosTokenIds: [128001, 128008, 128009],
  },
}

/** Names of the shapes, small to large within a family. */
export const shapeNames: readonly string[] = Object.keys(shapes)

/**
 * The shape of a model that the Hub has under a well-known id (`Qwen/Qwen2.5-7B-Instruct`, or without `-Instruct`), whoever keeps the
 * copy. Null for any other.
 */
export function shapeOfHubId(id: string): string | null {
  const name = id
    .split('/')
    .at(-1)!
    .toLowerCase()
    .replace(/-instruct$/, '')
    .replace(/^meta-llama-/, 'llama-')
  return Object.hasOwn(shapes, name) ? name : null
}

/**
 * The config behind `shape:NAME`.
 *
 * @throws `ERR_CONFIG` naming the shapes there are
 */
export function shapeConfig(name: string): DecoderConfig {
  const config = Object.hasOwn(shapes, name) ? shapes[name] : undefined
  if (!config) {
    fail(
      'RangeError',
      'ERR_CONFIG',
      `[model] expected one of the shapes ${Object.keys(shapes).join(', ')}, got "${name}"`,
    )
  }
  return structuredClone(config)
}
