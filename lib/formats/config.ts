// config.json and generation_config.json of Hugging Face folders, to and from the decoder's own config.
//
// Read in both spellings: transformers 5 (`rope_parameters`, `dtype`) and 4 (`rope_theta` with `rope_scaling`,
// `torch_dtype`). What the decoder cannot compute is refused by name; silently ignoring a feature would give wrong numbers.

import { z } from 'zod'
import { fail } from '../errors.js'
import type { DecoderConfig, Llama3RopeScaling } from '../nn/config.js'

/** generation_config.json as it stands; keys that only transformers knows are kept for saving. */
export type GenerationConfig = Record<string, unknown>

const architectures = {
  LlamaForCausalLM: 'llama',
  Qwen2ForCausalLM: 'qwen2',
  Qwen3ForCausalLM: 'qwen3',
} as const

const architectureOf: Record<DecoderConfig['family'], keyof typeof architectures> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
}

const size = z.int('expected a positive integer').positive('expected a positive integer')
const positive = z.number('expected a positive number').positive('expected a positive number')
const tokenId = z.int('expected a token id').nonnegative('expected a token id')
const tokenIds = z.union([tokenId, z.array(tokenId)], 'expected a token id or a list of them').nullish()
// The first Llama checkpoints say -1 for none.
const padId = z.union([tokenId, z.literal(-1)], 'expected a token id').nullish()
const flag = z.boolean('expected true or false').nullish()
const ropeSchema = z
  .looseObject({ rope_theta: positive.optional(), rope_type: z.string().optional(), type: z.string().optional() })
  .nullish()

const configSchema = z.looseObject({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size,
  rms_norm_eps: positive,
  hidden_act: z.string().nullish(),
  tie_word_embeddings: flag,
  attention_bias: flag,
  mlp_bias: flag,
  use_sliding_window: flag,
  sliding_window: z.number().nullish(),
  layer_types: z.array(z.string()).nullish(),
  partial_rotary_factor: z.number().nullish(),
  rope_theta: positive.nullish(),
  rope_scaling: ropeSchema,
  rope_parameters: ropeSchema,
  bos_token_id: tokenIds,
  eos_token_id: tokenIds,
  pad_token_id: padId,
})

const generationSchema = z.looseObject({
  bos_token_id: tokenIds,
  eos_token_id: tokenIds,
  pad_token_id: padId,
})

const llama3Schema = z.looseObject({
  factor: positive,
  low_freq_factor: positive,
  high_freq_factor: positive,
  original_max_position_embeddings: size,
})

function refuse(where: string, message: string): never {
  fail('Error', 'ERR_CONFIG', `${where}: ${message}`)
}

function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const name = issue.path.join('.')
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value)
  const shown = got === undefined ? 'nothing (the field is missing)' : JSON.stringify(got)
  refuse(where, `"${name}" ${issue.message.startsWith('expected') ? issue.message : 'is not valid'}, got ${shown}`)
}

function familyOf(json: Record<string, unknown>, where: string): DecoderConfig['family'] {
  const names = Array.isArray(json.architectures) ? json.architectures : []
  const known = Object.keys(architectures).join(', ')
  for (const name of names) {
    if (typeof name === 'string' && Object.hasOwn(architectures, name)) {
      return architectures[name as keyof typeof architectures]
    }
  }
  if (names.length > 0) refuse(where, `"architectures" expected one of ${known}, got ${JSON.stringify(names)}`)
  for (const family of Object.values(architectures)) if (json.model_type === family) return family
  refuse(where, `"architectures" expected one of ${known}, got nothing (the field is missing)`)
}

type RawConfig = z.infer<typeof configSchema>

function refuseUnsupported(raw: RawConfig, family: DecoderConfig['family'], where: string): void {
  if (raw.hidden_act != null && raw.hidden_act !== 'silu') {
    refuse(where, `"hidden_act" expected "silu", got ${JSON.stringify(raw.hidden_act)}`)
  }
  if (raw.attention_bias === true && family !== 'qwen2')
    refuse(where, `"attention_bias" expected false for ${family}, got true`)
  if (raw.attention_bias === false && family === 'qwen2')
    refuse(where, '"attention_bias" expected true for qwen2, got false')
  if (raw.mlp_bias === true) refuse(where, '"mlp_bias" expected false, got true')
  if (raw.use_sliding_window === true && raw.sliding_window != null) {
    refuse(where, '"use_sliding_window" expected false (sliding window attention is not supported), got true')
  }
  const other = raw.layer_types?.find((type) => type !== 'full_attention')
  if (other !== undefined) refuse(where, `"layer_types" expected only "full_attention", got ${JSON.stringify(other)}`)
  if (raw.quantization_config != null) {
    refuse(where, '"quantization_config" expected none (the weights must be F32, F16 or BF16), got one')
  }
}

/** Base and scaling of the rotation, from whichever spelling the file uses. */
function ropeOf(raw: RawConfig, where: string): { ropeTheta: number; ropeScaling: Llama3RopeScaling | null } {
  const key = raw.rope_parameters != null ? 'rope_parameters' : 'rope_scaling'
  const rope = raw[key]
  const fraction = rope?.partial_rotary_factor ?? raw.partial_rotary_factor ?? 1
  if (fraction !== 1) refuse(where, `"partial_rotary_factor" expected 1, got ${JSON.stringify(fraction)}`)
  // 10,000 is what transformers takes where the base is not written (the first Llama models).
  const ropeTheta = rope?.rope_theta ?? raw.rope_theta ?? 10_000
  if (rope == null) return { ropeTheta, ropeScaling: null }
  const type = rope.rope_type ?? rope.type
  if (type === undefined && Object.values(rope).some((value) => typeof value === 'object' && value !== null)) {
    refuse(where, `"${key}" expected one set of parameters, got one for each layer type`)
  }
  if (type === undefined || type === 'default') return { ropeTheta, ropeScaling: null }
  if (type !== 'llama3') refuse(where, `"${key}.rope_type" expected "default" or "llama3", got ${JSON.stringify(type)}`)
  const llama3 = parse(llama3Schema, rope, `${where}: ${key}`)
  return {
    ropeTheta,
    ropeScaling: {
      type: 'llama3',
      factor: llama3.factor,
      lowFreqFactor: llama3.low_freq_factor,
      highFreqFactor: llama3.high_freq_factor,
      originalMaxPositionEmbeddings: llama3.original_max_position_embeddings,
    },
  }
}

const list = (ids: number | number[] | null | undefined): number[] => (ids == null ? [] : [ids].flat())

/**
 * The decoder's config out of a parsed config.json, with the stop tokens of generation_config.json first.
 *
 * Throws `ERR_CONFIG` that names the field: missing, of the wrong type, or a feature that the decoder does not have.
 */
export function configFromHuggingFace(
  json: Record<string, unknown>,
  generation: GenerationConfig | null = null,
  where = '[config] config.json',
): DecoderConfig {
  const family = familyOf(json, where)
  const raw = parse(configSchema, json, where)
  refuseUnsupported(raw, family, where)
  const stops = parse(generationSchema, generation ?? {}, where.replace('config.json', 'generation_config.json'))
  const kvHeads = raw.num_key_value_heads ?? (family === 'llama' ? raw.num_attention_heads : undefined)
  if (kvHeads === undefined)
    refuse(where, '"num_key_value_heads" expected a positive integer, got nothing (the field is missing)')
  const config: DecoderConfig = {
    family,
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    numLayers: raw.num_hidden_layers,
    numHeads: raw.num_attention_heads,
    numKvHeads: kvHeads,
    // Qwen3's head is 128 wide where the file does not say; the others divide the hidden size.
    headDim: raw.head_dim ?? (family === 'qwen3' ? 128 : raw.hidden_size / raw.num_attention_heads),
    rmsNormEps: raw.rms_norm_eps,
    ...ropeOf(raw, where),
    tieWordEmbeddings: raw.tie_word_embeddings ?? false,
    attentionBias: family === 'qwen2',
    qkNorm: family === 'qwen3',
    maxPositionEmbeddings: raw.max_position_embeddings,
    bosTokenId: list(stops.bos_token_id)[0] ?? list(raw.bos_token_id)[0] ?? null,
    eosTokenIds: [...new Set([...list(stops.eos_token_id), ...list(raw.eos_token_id)])],
    padTokenId: [stops.pad_token_id, raw.pad_token_id].find((id) => id != null && id >= 0) ?? null,
  }
  checkConfig(config, where)
  return config
}

/** Largest tensor a config may ask for, in elements: past this the numbers are a lie, and a size would overflow. */
const maxElements = 2 ** 40

/** Relations between the sizes, whatever file they came from. */
export function checkConfig(config: DecoderConfig, where: string): void {
  const { hiddenSize, numHeads, numKvHeads, headDim, vocabSize, intermediateSize } = config
  if (!Number.isInteger(headDim)) {
    refuse(
      where,
      `expected the hidden size ${hiddenSize} to be a multiple of the ${numHeads} heads where "head_dim" is not given`,
    )
  }
  if (headDim % 2 !== 0)
    refuse(where, `"head_dim" expected an even number (the rotation works on pairs), got ${headDim}`)
  if (numHeads % numKvHeads !== 0) {
    refuse(where, `expected the ${numHeads} attention heads to be a multiple of the ${numKvHeads} key-value heads`)
  }
  const largest = hiddenSize * Math.max(vocabSize, intermediateSize, numHeads * headDim)
  if (!(largest <= maxElements))
    refuse(where, `expected tensors of at most ${maxElements} elements, the sizes give ${largest}`)
  if (config.numLayers > 10_000) refuse(where, `expected at most 10,000 layers, got ${config.numLayers}`)
  const beyond = config.eosTokenIds.find((id) => id >= vocabSize)
  if (beyond !== undefined) {
    refuse(where, `"eos_token_id" expected a token below the vocabulary's size ${vocabSize}, got ${beyond}`)
  }
}

/** config.json that transformers 5 and 4, vLLM and llama.cpp's converter read. */
export function configToHuggingFace(config: DecoderConfig, dtype: 'float32' | 'bfloat16'): Record<string, unknown> {
  const scaling = config.ropeScaling && {
    rope_type: 'llama3',
    factor: config.ropeScaling.factor,
    low_freq_factor: config.ropeScaling.lowFreqFactor,
    high_freq_factor: config.ropeScaling.highFreqFactor,
    original_max_position_embeddings: config.ropeScaling.originalMaxPositionEmbeddings,
  }
  return {
    architectures: [architectureOf[config.family]],
    model_type: config.family,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    hidden_act: 'silu',
    rms_norm_eps: config.rmsNormEps,
    max_position_embeddings: config.maxPositionEmbeddings,
    rope_theta: config.ropeTheta,
    rope_scaling: scaling,
    rope_parameters: { rope_theta: config.ropeTheta, rope_type: 'default', ...scaling },
    tie_word_embeddings: config.tieWordEmbeddings,
    ...(config.family === 'qwen2' ? { use_sliding_window: false } : { attention_bias: false }),
    ...(config.family === 'llama' ? { mlp_bias: false } : {}),
    attention_dropout: 0,
    initializer_range: 0.02,
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenIds.length > 1 ? config.eosTokenIds : (config.eosTokenIds[0] ?? null),
    pad_token_id: config.padTokenId,
    dtype,
    torch_dtype: dtype,
    use_cache: true,
  }
}

/** Fields that Python reads as floats: some versions refuse `8` where they mean `8.0`, which JavaScript would write. */
const floats = /"(rope_theta|factor|low_freq_factor|high_freq_factor|attention_dropout)": (\d+)(?=[,\n])/g

/** The text of config.json. */
export function configJson(config: DecoderConfig, dtype: 'float32' | 'bfloat16'): string {
  return `${JSON.stringify(configToHuggingFace(config, dtype), null, 2)}\n`.replace(floats, '"$1": $2.0')
}

/** generation_config.json: what the source had, with the stop tokens that the decoder really uses. */
export function generationToHuggingFace(config: DecoderConfig, source: GenerationConfig | null): GenerationConfig {
  const { transformers_version: _version, ...kept } = source ?? {}
  return {
    ...kept,
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenIds.length > 1 ? config.eosTokenIds : (config.eosTokenIds[0] ?? null),
    pad_token_id: config.padTokenId,
  }
}
