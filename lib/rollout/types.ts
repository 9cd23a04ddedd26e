import type { RolloutStats } from './meter.js'

/** One completion of one prompt. */
export interface Rollout {
  /** Index into the request's prompts. */
  prompt: number
  /** Which of the prompt's completions, 0 to n - 1. */
  sample: number
  /** What was drawn, the stop token included where one ended it. */
  tokens: number[]
  /** [tokens] log-softmax(logits / temperature) of each token, before any filter; temperature 0 reports temperature 1's. */
  logprobs: Float32Array
  finishReason: 'stop' | 'length'
  /** Version of the weights it was drawn from. */
  weightVersion: number
}

export interface SamplingSettings {
  /** Completions per prompt. */
  n: number
  /** Most tokens a completion may have. */
  maxTokens: number
  /** 0 takes the likeliest token. */
  temperature: number
  /** Tokens kept by top-k; 0 keeps all. */
  topK: number
  /** Probability mass kept by nucleus sampling; 1 keeps all. */
  topP: number
  /** Drops tokens below this part of the likeliest one's probability; 0 keeps all. */
  minP: number
  /** Tokens that end a completion. */
  stop: number[]
  /** Key of the random numbers, together with `step`, the prompt's id, the sample and the position. */
  seed: number
  step: number
}

export interface RolloutProgress {
  /** Completions that have ended, of `total`. */
  done: number
  total: number
  /** Tokens drawn so far. */
  tokens: number
  tokensPerSecond: number
}

export interface GenerateRequest {
  prompts: number[][]
  /** Ids that key each prompt's random numbers; default its index. Equal ids draw equal numbers. */
  promptIds?: number[]
  settings: SamplingSettings
  /** Bytes for keys and values; sequences wait when it is full. */
  kvMemory: number
  /** Most sequences that decode together. Changes speed, never results. */
  maxBatch?: number
  /** Most prompt tokens of one prefill batch; longer prompts are cut. Changes speed and memory, never results. */
  prefillChunk?: number
  onProgress?: (progress: RolloutProgress) => void
  /** Each token as it becomes known, `ended` with a completion's last. Tokens of one completion come in order. */
  onToken?: (prompt: number, sample: number, token: number, ended: boolean) => void
  /** Called once, when all is done. */
  onStats?: (stats: RolloutStats) => void
  /** Stops between two steps; the promise rejects with the signal's reason, and nothing stays allocated. */
  signal?: AbortSignal
}

/** Draws completions: this process's engine, or a client of another. */
export interface RolloutEngine {
  /** Results in (prompt, sample) order, `prompts.length * n` of them. */
  generate(request: GenerateRequest): Promise<Rollout[]>
}
