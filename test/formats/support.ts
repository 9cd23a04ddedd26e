// Small files for the tests of lib/formats, and a folder that is gone afterwards.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TensorOutput } from '../../lib/formats/huggingface.js'
import { decoderTensorShapes } from '../../lib/formats/tensor-names.js'
import type { DecoderConfig } from '../../lib/nn/config.js'
import { repositoryRoot } from '../support/shared.js'

export const fixturePath = (name: string): string => join(repositoryRoot, 'test', 'fixtures', 'formats', name)

/** Runs `use` with a new empty folder. */
export async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'callgrad-test-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What a promise rejects with; fails where it does not reject. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error & { code?: string }
  }
  throw new Error('expected a rejection')
}

/** The smallest config of each family. */
export function tinyConfig(change: Partial<DecoderConfig> = {}): DecoderConfig {
  const family = change.family ?? 'llama'
  return {
    family,
    vocabSize: 11,
    hiddenSize: 8,
    intermediateSize: 12,
    numLayers: 2,
    numHeads: 2,
    numKvHeads: 1,
    headDim: 4,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    ropeScaling: null,
    tieWordEmbeddings: true,
    attentionBias: family === 'qwen2',
    qkNorm: family === 'qwen3',
    maxPositionEmbeddings: 64,
    bosTokenId: null,
    eosTokenIds: [1],
    padTokenId: 0,
    ...change,
  }
}

/** Weights that differ in every element, exact in bf16 up to rounding of the last bits. */
export function tinyTensors(config: DecoderConfig): (TensorOutput & { values: Float32Array })[] {
  let seed = 1
  return [...decoderTensorShapes(config)].map(([name, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1)
    const values = Float32Array.from({ length: count }, () => {
      seed = (seed * 48271) % 2147483647
      return seed / 2147483647 - 0.5
    })
    return { name, shape, values, read: () => values }
  })
}
