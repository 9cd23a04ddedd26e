import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  configFromHuggingFace,
  configJson,
  configToHuggingFace,
  generationToHuggingFace,
} from '../../lib/formats/config.js'
import { sharedPath } from '../support/shared.js'
import { tinyConfig } from './support.js'

/** A config.json of Llama as transformers 4 wrote it. */
const llama4 = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: 128001,
  hidden_act: 'silu',
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  vocab_size: 128256,
}

test('transformers 4: rope_theta and rope_scaling', () => {
  assert.equal(configFromHuggingFace(llama4, { eos_token_id: [128001, 128008, 128009], pad_token_id: 128004 }), {
    family: 'llama',
    vocabSize: 128256,
    hiddenSize: 2048,
    intermediateSize: 8192,
    numLayers: 16,
    numHeads: 32,
    numKvHeads: 8,
    headDim: 64,
    rmsNormEps: 1e-5,
    ropeTheta: 500000,
    ropeScaling: {
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    },
    tieWordEmbeddings: true,
    attentionBias: false,
    qkNorm: false,
    maxPositionEmbeddings: 131072,
    bosTokenId: 128000,
    eosTokenIds: [128001, 128008, 128009],
    padTokenId: 128004,
  })
})

test('transformers 5: rope_parameters says the same', () => {
  const { rope_theta, rope_scaling, ...rest } = llama4
  const v5 = { ...rest, rope_parameters: { ...rope_scaling, rope_theta } }
  assert.equal(configFromHuggingFace(v5), configFromHuggingFace(llama4))
  const plain = { ...rest, rope_parameters: { rope_type: 'default', rope_theta: 10000 } }
  assert.is(configFromHuggingFace(plain).ropeScaling, null)
  assert.is(configFromHuggingFace(plain).ropeTheta, 10000)
})

test('the first spelling of the scaling, and none at all', () => {
  const { rope_type: _type, ...scaling } = llama4.rope_scaling
  assert.equal(
    configFromHuggingFace({ ...llama4, rope_scaling: { ...scaling, type: 'llama3' } }),
    configFromHuggingFace(llama4),
  )
  const { rope_theta: _theta, rope_scaling: _scaling, ...old } = llama4
  assert.is(configFromHuggingFace(old).ropeTheta, 10000)
})

test('what the families have of their own', () => {
  const qwen2 = { ...llama4, architectures: ['Qwen2ForCausalLM'], rope_scaling: null, attention_bias: undefined }
  assert.is(configFromHuggingFace(qwen2).attentionBias, true)
  assert.is(configFromHuggingFace({ ...qwen2, use_sliding_window: false, sliding_window: 4096 }).family, 'qwen2')
  const qwen3 = { ...llama4, architectures: ['Qwen3ForCausalLM'], rope_scaling: null }
  assert.is(configFromHuggingFace(qwen3).qkNorm, true)
  assert.is(configFromHuggingFace(qwen3).headDim, 128)
  assert.is(configFromHuggingFace({ ...qwen3, head_dim: 96 }).headDim, 96)
  const { num_key_value_heads: _kv, ...mha } = llama4
  assert.is(configFromHuggingFace(mha).numKvHeads, 32)
  assert.is(configFromHuggingFace({ ...llama4, architectures: undefined }).family, 'llama')
  assert.is(configFromHuggingFace({ ...llama4, pad_token_id: -1 }).padTokenId, null)
})

const refused: [string, Record<string, unknown>, RegExp][] = [
  [
    'an unknown architecture',
    { architectures: ['GPT2LMHeadModel'] },
    /"architectures" expected one of LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, got \["GPT2LMHeadModel"\]/,
  ],
  [
    'no architecture',
    { architectures: undefined, model_type: undefined },
    /"architectures" expected one of .* \(the field is missing\)/,
  ],
  [
    'a missing field',
    { hidden_size: undefined },
    /"hidden_size" expected a positive integer, got nothing \(the field is missing\)/,
  ],
  [
    'a field of the wrong type',
    { num_hidden_layers: '16' },
    /"num_hidden_layers" expected a positive integer, got "16"/,
  ],
  ['zero heads', { num_attention_heads: 0 }, /"num_attention_heads" expected a positive integer, got 0/],
  ['a fraction of a layer', { num_hidden_layers: 1.5 }, /"num_hidden_layers" expected a positive integer, got 1.5/],
  [
    'heads that do not divide',
    { num_attention_heads: 30, num_key_value_heads: 5 },
    /multiple of the 30 heads where "head_dim" is not given/,
  ],
  [
    'key-value heads that do not divide',
    { num_key_value_heads: 5 },
    /expected the 32 attention heads to be a multiple of the 5 key-value heads/,
  ],
  ['an odd head', { head_dim: 63 }, /"head_dim" expected an even number/],
  ['another activation', { hidden_act: 'gelu' }, /"hidden_act" expected "silu", got "gelu"/],
  ['an attention bias', { attention_bias: true }, /"attention_bias" expected false for llama, got true/],
  ['an MLP bias', { mlp_bias: true }, /"mlp_bias" expected false, got true/],
  ['a sliding window', { use_sliding_window: true, sliding_window: 4096 }, /"use_sliding_window" expected false/],
  [
    'sliding layers',
    { layer_types: ['full_attention', 'sliding_attention'] },
    /"layer_types" expected only "full_attention", got "sliding_attention"/,
  ],
  [
    'another scaling',
    { rope_scaling: { rope_type: 'yarn', factor: 4 } },
    /"rope_scaling.rope_type" expected "default" or "llama3", got "yarn"/,
  ],
  [
    'an incomplete scaling',
    { rope_scaling: { rope_type: 'llama3', factor: 8 } },
    /rope_scaling: "low_freq_factor" expected a positive number, got nothing/,
  ],
  ['a partial rotation', { partial_rotary_factor: 0.5 }, /"partial_rotary_factor" expected 1, got 0.5/],
  ['quantised weights', { quantization_config: { bits: 4 } }, /"quantization_config" expected none/],
  ['sizes that overflow', { hidden_size: 2 ** 45, head_dim: 64 }, /expected tensors of at most/],
  [
    'a stop token outside the vocabulary',
    { eos_token_id: 200000 },
    /"eos_token_id" expected a token below the vocabulary's size 128256, got 200000/,
  ],
  [
    'rotation by layer type',
    { rope_parameters: { full_attention: { rope_theta: 1 } } },
    /expected one set of parameters, got one for each layer type/,
  ],
]
for (const [what, change, expected] of refused) {
  test(`a config with ${what} is refused by name`, () => {
    try {
      configFromHuggingFace({ ...llama4, ...change })
    } catch (error) {
      assert.match((error as Error).message, expected)
      assert.match((error as Error).message, /^\[config\] config.json/)
      assert.is((error as { code?: string }).code, 'ERR_CONFIG')
      return
    }
    assert.unreachable('expected an error')
  })
}

test('a broken generation_config.json is named', () => {
  assert.throws(
    () => configFromHuggingFace(llama4, { eos_token_id: 'x' }),
    /generation_config.json: "eos_token_id" expected a token id/,
  )
})

test('every config survives the way out and back', () => {
  const scaling = {
    type: 'llama3' as const,
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 32,
  }
  for (const family of ['llama', 'qwen2', 'qwen3'] as const) {
    for (const change of [
      {},
      { tieWordEmbeddings: false },
      { ropeScaling: scaling },
      { eosTokenIds: [1, 3] },
      { eosTokenIds: [] },
    ]) {
      const config = tinyConfig({ family, ...change })
      assert.equal(configFromHuggingFace(JSON.parse(configJson(config, 'float32'))), config)
      const { rope_parameters: _new, ...v4 } = configToHuggingFace(config, 'bfloat16')
      assert.equal(configFromHuggingFace(v4), config, 'transformers 4 sees the same')
      const { rope_theta: _theta, rope_scaling: _scaling, ...v5 } = configToHuggingFace(config, 'bfloat16')
      assert.equal(configFromHuggingFace(v5), config, 'transformers 5 sees the same')
    }
  }
})

test('real numbers are written with a point: older transformers refuse an integer factor', () => {
  const scaling = {
    type: 'llama3' as const,
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 32,
  }
  const text = configJson(tinyConfig({ ropeScaling: scaling }), 'float32')
  assert.match(text, /"factor": 8\.0/)
  assert.match(text, /"rope_theta": 10000\.0/)
  assert.match(text, /"original_max_position_embeddings": 32\n/)
})

test('generation settings of the source are kept, stop tokens are those of the config', () => {
  const source = { temperature: 0.7, eos_token_id: 5, transformers_version: '4.40' }
  assert.equal(generationToHuggingFace(tinyConfig({ eosTokenIds: [1, 2] }), source), {
    temperature: 0.7,
    bos_token_id: null,
    eos_token_id: [1, 2],
    pad_token_id: 0,
  })
})

test('configs that transformers 5 wrote are read', () => {
  const root = sharedPath('parity/models')
  if (!root) return
  for (const name of readdirSync(root)) {
    const json = JSON.parse(readFileSync(join(root, name, 'config.json'), 'utf8'))
    assert.is(configFromHuggingFace(json).hiddenSize, json.hidden_size, name)
  }
})

test.run()
