import type { Example } from '../../lib/data/example.js'
import { createModel, type Model } from '../../lib/model.js'
import type { DecoderConfig } from '../../lib/nn/config.js'
import type { PromptCodec } from '../../lib/train/grpo/prompts.js'

export const tinyConfig: DecoderConfig = {
  family: 'qwen2',
  vocabSize: 53,
  hiddenSize: 24,
  intermediateSize: 40,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 8,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  ropeScaling: null,
  tieWordEmbeddings: false,
  attentionBias: true,
  qkNorm: false,
  maxPositionEmbeddings: 64,
  bosTokenId: null,
  eosTokenIds: [0],
  padTokenId: null,
}

/** A random model without a tokenizer, fp32 on the CPU. */
export const tinyModel = (seed = 1): Model => createModel(tinyConfig, { device: 'cpu', dtype: 'f32', seed })

/** Examples whose prompts are token lists of 1 to 6 tokens. */
export const tinyDataset: Example[] = Array.from({ length: 7 }, (_, i) => ({
  id: `example-${i}`,
  messages: [],
  tools: [],
  extra: { tokens: Array.from({ length: 1 + (i % 6) }, (_, t) => 1 + ((7 * i + 3 * t) % 50)) },
}))

/** Prompts as the data set holds them; text is the token ids. */
export const tokenCodec: PromptCodec = {
  encode: ({ extra }) => ({ tokens: extra!.tokens as number[], text: (extra!.tokens as number[]).join(' ') }),
  decode: (tokens) => tokens.join(' '),
}

/** Every weight, by name. */
export async function weightsOf(model: Model): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>()
  for (const { name, read } of model.params.exportTensors()) weights.set(name, await read())
  return weights
}

/** Names of the tensors in which two models differ in any bit. */
export function differing(a: Map<string, Float32Array>, b: Map<string, Float32Array>): string[] {
  const bits = (x: Float32Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength)
  return [...a].flatMap(([name, x]) => (bits(x).equals(bits(b.get(name)!)) ? [] : [name]))
}
