import { packSequences, planSequences } from './batch.js'
import { fail } from './errors.js'
import { openCheckpoint } from './formats/checkpoint.js'
import type { GenerationConfig } from './formats/config.js'
import { resolveModel } from './formats/hub.js'
import { saveHuggingFace } from './formats/huggingface.js'
import type { ModelSource, TokenizerFiles } from './formats/model-source.js'
import type { DecoderConfig } from './nn/config.js'
import { forwardLogprobs } from './nn/forward.js'
import { initializeParams } from './nn/init.js'
import { type ComputeDType, ParamStore } from './nn/params.js'
import { LocalEngine } from './rollout/engine.js'
import { defaultSampling } from './rollout/settings.js'
import type { Rollout, RolloutEngine, SamplingSettings } from './rollout/types.js'
import { type Device, device as openDevice } from './tensor/device.js'
import { Tokenizer } from './text/tokenizer.js'

export interface ModelOptions {
  /** `'cpu'`, `'cuda:0'`, `'simt'` or `'auto'`. */
  device?: Device | string
  /** Compute type; masters and statistics are fp32 in any case. Default: bf16 where the device is fast at it. */
  dtype?: ComputeDType | 'auto'
}

/** Prompts and any of the sampling settings. */
export type GenerateOptions = { prompts: number[][]; kvMemory?: number } & Partial<SamplingSettings>

/** A decoder with its weights and its tokenizer: what trainers, rollouts and evaluations share. */
export class Model {
  readonly config: DecoderConfig
  readonly params: ParamStore
  readonly generationConfig: GenerationConfig | null
  #engine: RolloutEngine | null = null
  readonly #tokenizer: { files: TokenizerFiles | null; missing: string; made?: Tokenizer }

  /** @internal Use {@link loadModel} or {@link createModel}. */
  constructor(params: ParamStore, source: Pick<ModelSource, 'generationConfig' | 'tokenizer' | 'tokenizerMissing'>) {
    this.params = params
    this.config = params.config
    this.generationConfig = source.generationConfig
    this.#tokenizer = { files: source.tokenizer, missing: source.tokenizerMissing ?? 'it was made without one' }
  }

  get hasTokenizer(): boolean {
    return this.#tokenizer.files !== null
  }

  /** @throws `ERR_TOKENIZER` for a model that has none */
  get tokenizer(): Tokenizer {
    const { files, missing } = this.#tokenizer
    if (!files) fail('Error', 'ERR_TOKENIZER', `[model] expected a model with a tokenizer: ${missing}`)
    this.#tokenizer.made ??= new Tokenizer(files, { vocabSize: this.config.vocabSize })
    return this.#tokenizer.made
  }

  get device(): Device {
    return this.params.device
  }

  get dtype(): ComputeDType {
    return this.params.dtype
  }

  /**
   * Log-probs of given tokens: element t of a result is log p(token t | tokens before t), element 0 is 0.
   *
   * @param options.temperature log-softmax of logits / temperature; 0 counts as 1
   * @param options.tokensPerBatch rows computed together; memory only, never the result
   * @throws RangeError `ERR_RANGE` for a token outside the vocabulary or a sequence longer than the model's context
   */
  async logprobs(
    sequences: readonly (readonly number[])[],
    { temperature = 1, tokensPerBatch = 2048 } = {},
  ): Promise<Float32Array[]> {
    for (const [i, s] of sequences.entries()) this.checkTokens(s, `sequence ${i}`)
    const results = sequences.map((s) => new Float32Array(s.length))
    const plan = planSequences(
      sequences.map((s) => s.length),
      tokensPerBatch,
    )
    for (const indices of plan) {
      const batch = packSequences(indices.map((i) => ({ tokens: sequences[i]! })))
      if (batch.rows.length === 0) continue
      const scores = forwardLogprobs(this.params, batch, { temperature })
      try {
        const { logprob } = await scores.read()
        for (const [k, i] of indices.entries()) {
          results[i]!.set(logprob.subarray(batch.offsets[k]!, batch.offsets[k + 1]!), 1)
        }
      } finally {
        scores.dispose()
      }
    }
    return results
  }

  /** Draws completions from this model's own weights. */
  get engine(): RolloutEngine {
    this.#engine ??= new LocalEngine(this.params)
    return this.#engine
  }

  /**
   * Draws `n` completions of each prompt. The same (seed, step, prompt, sample) gives the same tokens at any batch size;
   * log-probs are log-softmax(logits / temperature) before top-k, top-p and min-p (temperature 0: those of temperature 1).
   *
   * @param options.stop tokens that end a completion; default: the model's end tokens
   * @param options.kvMemory bytes for keys and values
   * @returns in (prompt, sample) order
   */
  async generate({ prompts, kvMemory = 2 ** 30, ...settings }: GenerateOptions): Promise<Rollout[]> {
    return this.engine.generate({
      prompts,
      kvMemory,
      settings: { ...defaultSampling, stop: this.config.eosTokenIds, ...settings },
    })
  }

  /**
   * Writes a complete Hugging Face folder: config, weights, tokenizer, chat template, generation config. It appears whole
   * or not at all.
   *
   * @param options.dtype of the stored weights; fp32 keeps every bit
   * @throws `ERR_IO` where the folder cannot be written
   */
  async save(folder: string, { dtype = 'f32' }: { dtype?: ComputeDType } = {}): Promise<void> {
    await saveHuggingFace(folder, {
      config: this.config,
      generationConfig: this.generationConfig,
      tensors: this.params.exportTensors(),
      dtype: dtype === 'bf16' ? 'bfloat16' : 'float32',
      tokenizer: this.#tokenizer.files,
    })
  }

  /** Throws where a token or the length does not fit the model. */
  checkTokens(tokens: readonly number[], what: string): void {
    const { vocabSize, maxPositionEmbeddings } = this.config
    if (tokens.length > maxPositionEmbeddings) {
      fail(
        'RangeError',
        'ERR_RANGE',
        `[model] expected at most ${maxPositionEmbeddings} tokens, ${what} has ${tokens.length}`,
      )
    }
    const bad = tokens.findIndex((t) => !Number.isInteger(t) || t < 0 || t >= vocabSize)
    if (bad >= 0) {
      fail(
        'RangeError',
        'ERR_RANGE',
        `[model] expected token ids in [0, ${vocabSize}), ${what} has ${tokens[bad]} at ${bad}`,
      )
    }
  }

  /** Frees the weights. */
  dispose(): void {
    this.params.dispose()
  }
}

/** The compute type that `dtype: 'auto'` stands for on a device. */
function computeDType(device: Device, dtype: ComputeDType | 'auto'): ComputeDType {
  if (dtype === 'auto') return device.bf16 ? 'bf16' : 'f32'
  if (dtype !== 'f32' && dtype !== 'bf16') {
    fail('TypeError', 'ERR_DTYPE', `[model] expected dtype "f32", "bf16" or "auto", got ${JSON.stringify(dtype)}`)
  }
  return dtype
}

/**
 * Loads a model from a Hugging Face folder, a run's folder (its newest checkpoint), a GGUF file, or the hub (`owner/name`).
 *
 * @throws `ERR_IO`, `ERR_FORMAT` or `ERR_CONFIG` naming the file and what is wrong with it
 */
export async function loadModel(
  pathOrHubId: string,
  { device = 'auto', dtype = 'auto' }: ModelOptions = {},
): Promise<Model> {
  const d = openDevice(device)
  const source = await openCheckpoint(await resolveModel(pathOrHubId))
  try {
    const params = new ParamStore(source.config, d, computeDType(d, dtype))
    try {
      for (const name of source.tensors.keys()) {
        params.importTensor(name, await source.readFloat32(name))
        await d.synchronize() // one tensor in flight: loading needs no second copy of the model
      }
      params.refresh()
    } catch (error) {
      params.dispose()
      throw error
    }
    return new Model(params, source)
  } finally {
    await source.dispose()
  }
}

export interface NewModelOptions extends ModelOptions {
  /** The same seed gives the same weights on every machine. */
  seed?: number
  /** Standard deviation of matrices. 0.02 suits large models; one of a million weights learns faster from about 0.08. */
  initStd?: number
  tokenizer?: TokenizerFiles | null
}

/** A model with random weights, for training from scratch and for benchmarks. */
export function createModel(
  config: DecoderConfig,
  { device = 'auto', dtype = 'auto', seed = 0, initStd = 0.02, tokenizer = null }: NewModelOptions = {},
): Model {
  const d = openDevice(device)
  const params = new ParamStore(config, d, computeDType(d, dtype))
  initializeParams(params, { seed, std: initStd })
  return new Model(params, { generationConfig: null, tokenizer, tokenizerMissing: null })
}
