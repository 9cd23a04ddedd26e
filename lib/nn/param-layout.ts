import type { DecoderConfig } from './config.js'

/** One tensor of a Hugging Face checkpoint: the rows [begin, end) of a parameter. */
export interface ParamPart {
  name: string
  shape: number[]
  begin: number
  end: number
}

/**
 * A parameter as the graph uses it. Projections that read the same input are one matrix (q, k and v; gate and up):
 * one GEMM instead of three, while checkpoints still see the tensors of the format.
 */
export interface ParamSpec {
  key: string
  shape: [number] | [number, number]
  /** How the graph reads it: a linear layer's weight is kept in the GEMM's own layout, a norm's weight in fp32. */
  kind: 'linear' | 'embedding' | 'norm' | 'bias'
  /** Weight decay applies to matrices, not to norms and biases (the rule of Hugging Face's Trainer). */
  decay: boolean
  parts: ParamPart[]
}

/** Keys of one layer's parameters. */
export const layerKey = (layer: number, name: string) => `layers.${layer}.${name}`

/** Every parameter of a decoder, in forward order. */
export function paramLayout(config: DecoderConfig): ParamSpec[] {
  const { hiddenSize: d, intermediateSize: f, vocabSize, headDim } = config
  const q = config.numHeads * headDim
  const kv = config.numKvHeads * headDim
  const specs: ParamSpec[] = []

  const matrix = (key: string, kind: ParamSpec['kind'], columns: number, parts: [string, number][]) => {
    let row = 0
    specs.push({
      key,
      kind,
      decay: true,
      shape: [parts.reduce((n, [, rows]) => n + rows, 0), columns],
      parts: parts.map(([name, rows]) => ({ name, shape: [rows, columns], begin: row, end: (row += rows) })),
    })
  }
  const vector = (key: string, kind: 'norm' | 'bias', parts: [string, number][]) => {
    let row = 0
    specs.push({
      key,
      kind,
      decay: false,
      shape: [parts.reduce((n, [, rows]) => n + rows, 0)],
      parts: parts.map(([name, rows]) => ({ name, shape: [rows], begin: row, end: (row += rows) })),
    })
  }

  matrix('embed', 'embedding', d, [['model.embed_tokens.weight', vocabSize]])
  for (let i = 0; i < config.numLayers; i++) {
    const hf = `model.layers.${i}`
    vector(layerKey(i, 'inputNorm'), 'norm', [[`${hf}.input_layernorm.weight`, d]])
    matrix(layerKey(i, 'qkv'), 'linear', d, [
      [`${hf}.self_attn.q_proj.weight`, q],
      [`${hf}.self_attn.k_proj.weight`, kv],
      [`${hf}.self_attn.v_proj.weight`, kv],
    ])
    if (config.attentionBias) {
      vector(layerKey(i, 'qkvBias'), 'bias', [
        [`${hf}.self_attn.q_proj.bias`, q],
        [`${hf}.self_attn.k_proj.bias`, kv],
        [`${hf}.self_attn.v_proj.bias`, kv],
      ])
    }
    if (config.qkNorm) {
      vector(layerKey(i, 'qNorm'), 'norm', [[`${hf}.self_attn.q_norm.weight`, headDim]])
      vector(layerKey(i, 'kNorm'), 'norm', [[`${hf}.self_attn.k_norm.weight`, headDim]])
    }
    matrix(layerKey(i, 'out'), 'linear', q, [[`${hf}.self_attn.o_proj.weight`, d]])
    vector(layerKey(i, 'postNorm'), 'norm', [[`${hf}.post_attention_layernorm.weight`, d]])
    matrix(layerKey(i, 'gateUp'), 'linear', d, [
      [`${hf}.mlp.gate_proj.weight`, f],
      [`${hf}.mlp.up_proj.weight`, f],
    ])
    matrix(layerKey(i, 'down'), 'linear', f, [[`${hf}.mlp.down_proj.weight`, d]])
  }
  vector('norm', 'norm', [['model.norm.weight', d]])
  if (!config.tieWordEmbeddings) matrix('head', 'linear', d, [['lm_head.weight', vocabSize]])
  return specs
}
