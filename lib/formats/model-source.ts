// What every kind of model on disk looks like to the rest of the program.

import { fail } from '../errors.js'
import type { DecoderConfig } from '../nn/config.js'
import type { GenerationConfig } from './config.js'
import { firstNonFinite } from './dtype.js'
import { decoderTensorShapes } from './tensor-names.js'

/** The files of a Hugging Face tokenizer, as text: a tokenizer.json is copied as it is, never re-serialised. */
export interface TokenizerFiles {
  tokenizerJson: string
  tokenizerConfig: string
  /** Jinja source, wherever it was found (chat_template.jinja, tokenizer_config.json, GGUF metadata). */
  chatTemplate: string | null
}

/** A model on disk: names are those of Hugging Face checkpoints, whatever the file's own are. */
export interface ModelSource {
  path: string
  format: 'huggingface' | 'gguf'
  config: DecoderConfig
  generationConfig: GenerationConfig | null
  tensors: ReadonlyMap<string, { shape: number[] }>
  /** fp32, row-major. Rejects NaN and infinite weights by tensor and element (`ERR_FORMAT`). */
  readFloat32(name: string): Promise<Float32Array>
  tokenizer: TokenizerFiles | null
  /** Why `tokenizer` is null, as a sentence for the error of whoever needs one. */
  tokenizerMissing: string | null
  /** Closes the files; nothing can be read afterwards. */
  dispose(): Promise<void>
}

/** Tensors that some checkpoints carry and no decoder needs. */
const ignorable = (name: string, config: DecoderConfig): boolean =>
  name.endsWith('.rotary_emb.inv_freq') || (name === 'lm_head.weight' && config.tieWordEmbeddings)

/**
 * Compares what a file holds with what its config implies, and returns the tensors to load. One error that names the first
 * tensors that are missing, unexpected or of another shape (`ERR_FORMAT`).
 */
export function checkTensors(
  found: ReadonlyMap<string, readonly number[]>,
  config: DecoderConfig,
  where: string,
): Map<string, { shape: number[] }> {
  const expected = decoderTensorShapes(config)
  const missing = [...expected.keys()].filter((name) => !found.has(name))
  if (missing.length > 0) {
    const hint =
      missing[0] === 'lm_head.weight' ? ' ("tie_word_embeddings" would have to be true for a model without it)' : ''
    fail('Error', 'ERR_FORMAT', `${where}: expected the tensor ${some(missing)}, which is missing${hint}`)
  }
  const unexpected = [...found.keys()].filter((name) => !expected.has(name) && !ignorable(name, config))
  if (unexpected.length > 0) {
    fail(
      'Error',
      'ERR_FORMAT',
      `${where}: the tensor ${some(unexpected)} has no place in a ${config.family} model of this config`,
    )
  }
  for (const [name, shape] of expected) {
    const got = found.get(name)!
    if (got.length !== shape.length || got.some((size, i) => size !== shape[i])) {
      fail(
        'Error',
        'ERR_FORMAT',
        `${where}: tensor "${name}" expected shape [${shape.join(', ')}] by the config, got [${got.join(', ')}]`,
      )
    }
  }
  return new Map([...expected].map(([name, shape]) => [name, { shape }]))
}

const some = (names: string[]): string =>
  `"${names[0]}"${names.length > 1 ? ` (and ${names.length - 1} more, such as "${names.at(-1)}")` : ''}`

/** Rejects weights that would turn every result into NaN. */
export function checkFinite(values: Float32Array, name: string, where: string): Float32Array {
  const bad = firstNonFinite(values)
  if (bad >= 0) {
    fail('Error', 'ERR_FORMAT', `${where}: tensor "${name}" expected finite weights, element ${bad} is ${values[bad]}`)
  }
  return values
}
