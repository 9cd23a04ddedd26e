// The tensors that a decoder's config implies, under the names of Hugging Face checkpoints.

import type { DecoderConfig } from '../nn/config.js'

/** Name to shape (row-major, `[out, in]` for projections) of every tensor; `lm_head.weight` only where it is not tied. */
export function decoderTensorShapes(config: DecoderConfig): Map<string, number[]> {
  const { hiddenSize: hidden, headDim, vocabSize } = config
  const query = config.numHeads * headDim
  const keyValue = config.numKvHeads * headDim
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [vocabSize, hidden]]])
  for (let layer = 0; layer < config.numLayers; layer++) {
    const set = (name: string, shape: number[]) => shapes.set(`model.layers.${layer}.${name}`, shape)
    set('input_layernorm.weight', [hidden])
    set('self_attn.q_proj.weight', [query, hidden])
    set('self_attn.k_proj.weight', [keyValue, hidden])
    set('self_attn.v_proj.weight', [keyValue, hidden])
    set('self_attn.o_proj.weight', [hidden, query])
    if (config.attentionBias) {
      set('self_attn.q_proj.bias', [query])
      set('self_attn.k_proj.bias', [keyValue])
      set('self_attn.v_proj.bias', [keyValue])
    }
    if (config.qkNorm) {
      set('self_attn.q_norm.weight', [headDim])
      set('self_attn.k_norm.weight', [headDim])
    }
    set('post_attention_layernorm.weight', [hidden])
    set('mlp.gate_proj.weight', [config.intermediateSize, hidden])
    set('mlp.up_proj.weight', [config.intermediateSize, hidden])
    set('mlp.down_proj.weight', [hidden, config.intermediateSize])
  }
  shapes.set('model.norm.weight', [hidden])
  if (!config.tieWordEmbeddings) shapes.set('lm_head.weight', [vocabSize, hidden])
  return shapes
}
