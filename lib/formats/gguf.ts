// A GGUF file of the Llama, Qwen2 or Qwen3 family as a model source.
//
// Two traps of llama.cpp's converter are undone here: in the `llama` architecture the rows of attn_q and attn_k are
// interleaved (rotation pairs side by side), and Llama 3's rotary scaling is stored as a tensor of divisors.

import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { fail } from '../errors.js'
import type { DecoderConfig } from '../nn/config.js'
import { checkConfig } from './config.js'
import { dequantize } from './gguf-dequantize.js'
import { type GgufHeader, type GgufTensor, type GgufValue, readGgufHeader } from './gguf-header.js'
import { llama3ScalingOf } from './gguf-rope.js'
import { stopTokensOf, tokenizerFromGguf } from './gguf-tokenizer.js'
import { openToRead, readExactly } from './io.js'
import { checkFinite, checkTensors, type ModelSource } from './model-source.js'

const families = ['llama', 'qwen2', 'qwen3'] as const

const outsideLayers: Record<string, string> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
}

const insideLayer: Record<string, string> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
}

/** The Hugging Face name of a GGUF tensor; a name that has none stays, and is then reported as unexpected. */
function huggingFaceName(name: string): string {
  const match = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name)
  const inside = match && Object.hasOwn(insideLayer, match[2]!) ? insideLayer[match[2]!] : undefined
  if (match && inside) return `model.layers.${match[1]}.${inside}.${match[3]}`
  return Object.hasOwn(outsideLayers, name) ? outsideLayers[name]! : name
}

/** fp32 metadata such as 0.00001 or 100000 as the decimal that was meant, not its nearest fp32. */
const decimal = (value: number): number => Number.parseFloat(value.toPrecision(7))

/** Typed access to metadata; every complaint names the key. */
class Metadata {
  constructor(
    private readonly values: ReadonlyMap<string, GgufValue>,
    private readonly where: string,
  ) {}

  number(key: string): number
  number<T>(key: string, fallback: T): number | T
  number(key: string, fallback?: unknown): unknown {
    const value = this.values.get(key)
    if (value === undefined) {
      if (fallback !== undefined) return fallback
      fail(
        'Error',
        'ERR_CONFIG',
        `${this.where}: metadata "${key}" expected a number, got nothing (the key is missing)`,
      )
    }
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      fail(
        'Error',
        'ERR_CONFIG',
        `${this.where}: metadata "${key}" expected a number, got ${Array.isArray(value) ? 'a list' : String(value)}`,
      )
    }
    return value
  }

  size(key: string): number
  size<T>(key: string, fallback: T): number | T
  size(key: string, fallback?: unknown): unknown {
    const value = this.number(key, fallback)
    if (value === fallback && fallback !== undefined) return value
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      fail('Error', 'ERR_CONFIG', `${this.where}: metadata "${key}" expected a positive integer, got ${String(value)}`)
    }
    return value
  }

  get(key: string): GgufValue | undefined {
    return this.values.get(key)
  }
}

/** The decoder's config out of GGUF metadata; scaling of the rotation comes later, from a tensor. */
function configOf(header: GgufHeader, where: string): DecoderConfig {
  const metadata = new Metadata(header.metadata, where)
  const family = families.find((name) => name === metadata.get('general.architecture'))
  if (!family) {
    fail(
      'Error',
      'ERR_CONFIG',
      `${where}: metadata "general.architecture" expected one of ${families.join(', ')}, got ${JSON.stringify(metadata.get('general.architecture') ?? null)}`,
    )
  }
  const key = (name: string) => `${family}.${name}`
  for (const name of ['expert_count', 'attention.sliding_window', 'logit_scale', 'final_logit_softcapping']) {
    const value = metadata.number(key(name), 0)
    if (value !== 0)
      fail(
        'Error',
        'ERR_CONFIG',
        `${where}: metadata "${key(name)}" expected none (the feature is not supported), got ${value}`,
      )
  }
  const scaling = metadata.get(key('rope.scaling.type')) ?? 'none'
  if (scaling !== 'none') {
    fail(
      'Error',
      'ERR_CONFIG',
      `${where}: metadata "${key('rope.scaling.type')}" expected "none", got ${JSON.stringify(scaling)}`,
    )
  }
  const numHeads = metadata.size(key('attention.head_count'))
  const hiddenSize = metadata.size(key('embedding_length'))
  const headDim = metadata.size(key('attention.key_length'), hiddenSize / numHeads)
  for (const name of ['attention.value_length', 'rope.dimension_count']) {
    const value = metadata.size(key(name), headDim)
    if (value !== headDim)
      fail(
        'Error',
        'ERR_CONFIG',
        `${where}: metadata "${key(name)}" expected the head's width ${headDim}, got ${value}`,
      )
  }
  const embedding = header.tensors.get('token_embd.weight')
  if (!embedding) fail('Error', 'ERR_FORMAT', `${where}: expected the tensor "token_embd.weight", which is missing`)
  const token = (name: string) => metadata.number(`tokenizer.ggml.${name}_token_id`, null)
  return {
    family,
    vocabSize: embedding.shape[0]!,
    hiddenSize,
    intermediateSize: metadata.size(key('feed_forward_length')),
    numLayers: metadata.size(key('block_count')),
    numHeads,
    numKvHeads: metadata.size(key('attention.head_count_kv'), numHeads),
    headDim,
    rmsNormEps: decimal(metadata.number(key('attention.layer_norm_rms_epsilon'))),
    ropeTheta: decimal(metadata.number(key('rope.freq_base'), 10_000)),
    ropeScaling: null,
    tieWordEmbeddings: !header.tensors.has('output.weight'),
    attentionBias: family === 'qwen2',
    qkNorm: family === 'qwen3',
    maxPositionEmbeddings: metadata.size(key('context_length')),
    bosTokenId: token('bos'),
    eosTokenIds: stopTokensOf(header.metadata),
    padTokenId: token('padding'),
  }
}

/**
 * Rows of a projection back in the order of Hugging Face: within a head of D rows the file holds the rotation pairs side by
 * side (row 2i + a), Hugging Face the halves one after the other (row a D/2 + i).
 */
export function unpermuteRows(values: Float32Array, heads: number, headDim: number, columns: number): Float32Array {
  const out = new Float32Array(values.length)
  const half = headDim / 2
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) {
      for (let a = 0; a < 2; a++) {
        const from = (head * headDim + 2 * i + a) * columns
        out.set(values.subarray(from, from + columns), (head * headDim + a * half + i) * columns)
      }
    }
  }
  return out
}

async function readTensor(handle: FileHandle, tensor: GgufTensor, where: string): Promise<Float32Array> {
  const bytes = new Uint8Array(tensor.end - tensor.start)
  await readExactly(handle, bytes, tensor.start, `${where}: tensor "${tensor.name}"`)
  return dequantize(
    tensor.type,
    bytes,
    tensor.shape.reduce((product, size) => product * size, 1),
  )
}

/** Opens a GGUF file. Errors: `ERR_IO`, `ERR_FORMAT` (truncated, lying), `ERR_CONFIG` (a model that is not supported). */
export async function openGguf(path: string): Promise<ModelSource> {
  const where = `[gguf] ${basename(path)}`
  const { handle, size } = await openToRead(path, where)
  try {
    const header = await readGgufHeader(handle, size, where)
    if (header.metadata.has('split.count') && header.metadata.get('split.count') !== 1) {
      fail(
        'Error',
        'ERR_CONFIG',
        `${where}: expected a whole model in one file, this is a part of ${String(header.metadata.get('split.count'))}`,
      )
    }
    const config = configOf(header, where)
    const divisors = header.tensors.get('rope_freqs.weight')
    if (divisors) config.ropeScaling = llama3ScalingOf(await readTensor(handle, divisors, where), config, where)
    checkConfig(config, where)
    const owners = new Map<string, GgufTensor>()
    for (const tensor of header.tensors.values()) {
      if (tensor !== divisors) owners.set(huggingFaceName(tensor.name), tensor)
    }
    const shapes = new Map([...owners].map(([name, tensor]) => [name, tensor.shape]))
    const tensors = checkTensors(shapes, config, where)
    const tokenizer = tokenizerFromGguf(header.metadata, where)
    return {
      path,
      format: 'gguf',
      config,
      generationConfig: null,
      tensors,
      tokenizer: tokenizer.files,
      tokenizerMissing: tokenizer.missing,
      async readFloat32(name) {
        const tensor = tensors.has(name) ? owners.get(name) : undefined
        if (!tensor) fail('RangeError', 'ERR_FORMAT', `${where}: expected one of the model's tensors, got "${name}"`)
        const values = checkFinite(await readTensor(handle, tensor, where), name, where)
        const projection = /self_attn\.([qk])_proj\.weight$/.exec(name)?.[1]
        if (config.family !== 'llama' || !projection) return values
        const heads = projection === 'q' ? config.numHeads : config.numKvHeads
        return unpermuteRows(values, heads, config.headDim, config.hiddenSize)
      },
      dispose: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}
