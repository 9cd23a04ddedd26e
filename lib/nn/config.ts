/** Rotary position scaling of Llama 3.1 and later; names as in `rope_parameters` of a Hugging Face config.json. */
export interface Llama3RopeScaling {
  type: 'llama3'
  factor: number
  lowFreqFactor: number
  highFreqFactor: number
  originalMaxPositionEmbeddings: number
}

/** What a decoder of the Llama, Qwen2/2.5 or Qwen3 family needs to know about itself. One config, one graph. */
export interface DecoderConfig {
  family: 'llama' | 'qwen2' | 'qwen3'
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numLayers: number
  numHeads: number
  numKvHeads: number
  headDim: number
  rmsNormEps: number
  ropeTheta: number
  ropeScaling: Llama3RopeScaling | null
  tieWordEmbeddings: boolean
  /** Bias on the q, k and v projections (Qwen2). */
  attentionBias: boolean
  /** RMSNorm over each query and key head before the rotation (Qwen3). */
  qkNorm: boolean
  maxPositionEmbeddings: number
  bosTokenId: number | null
  /** Every token that ends a reply; generation_config.json may name more than config.json. */
  eosTokenIds: number[]
  padTokenId: number | null
}
