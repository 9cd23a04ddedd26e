// Normalisation and cutting into pre-tokens: the parts of `@huggingface/tokenizers` that are used, with its gaps closed.
//
// The library runs the components of tokenizer.json. Two of them it runs with JavaScript's notion of digits and white space
// instead of Unicode's (`Digits` sees ASCII only, `ByteLevel` takes U+FEFF for a space and U+0085 for none); both are
// rewritten to a `Split` by an expression, which the library translates exactly. A final `ByteLevel` is taken off: mapping
// bytes to characters and back is left to the vocabulary's table of bytes, so pre-tokens stay plain text and cache well.

import { Tokenizer as Library } from '@huggingface/tokenizers'
import { fail } from '../errors.js'
import type { Json, TokenizerDescription } from './tokenizer-json.js'

const split = (regex: string): Json => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
})

const gpt2Expression = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** Steps of a pre-tokenizer in order, nested sequences flattened. */
function stepsOf(preTokenizer: Json | null): Json[] {
  if (preTokenizer === null) return []
  if (preTokenizer.type !== 'Sequence') return [preTokenizer]
  return ((preTokenizer.pretokenizers as Json[] | undefined) ?? []).flatMap(stepsOf)
}

function rewrite(step: Json, where: string): Json {
  if (step.type === 'Digits') return split(step.individual_digits === true ? '\\p{N}' : '\\p{N}+')
  const behavior = String(step.behavior ?? 'Isolated').toLowerCase()
  if (step.type === 'Split' && behavior !== 'isolated' && behavior !== 'removed') {
    fail(
      'Error',
      'ERR_CONFIG',
      `${where} tokenizer.json: pre-tokenizer "Split" expected the behavior Isolated or Removed, got ${JSON.stringify(step.behavior)}`,
    )
  }
  return step
}

/** The parts of the library's tokenizer that are used; its own types do not resolve under NodeNext. */
interface LibraryParts {
  normalizer: ((text: string) => string) | null
  pre_tokenizer: ((text: string, options: { section_index: number }) => string[]) | null
  decoder: ((tokens: string[]) => string) | null
}

/** What comes before BPE. */
export interface TextCutter {
  /** Pre-tokens are plain text and their symbols are bytes (else they are characters of the vocabulary's alphabet). */
  byteLevel: boolean
  normalize: ((text: string) => string) | null
  /** `section` counts the pieces between added tokens; some pre-tokenizers treat the first one differently. */
  cut(text: string, section: number): string[]
  /** Token texts to text, for tokenizers that are not byte-level. */
  decode: ((tokens: string[]) => string) | null
}

export function textCutter(description: TokenizerDescription, where: string): TextCutter {
  const steps = stepsOf(description.preTokenizer)
  const last = steps.at(-1)
  const byteLevel = last?.type === 'ByteLevel' && last.add_prefix_space !== true
  if (byteLevel) {
    steps.pop()
    if (last.use_regex !== false) steps.push(split(gpt2Expression))
  }
  const library = buildLibrary(
    description,
    steps.map((step) => rewrite(step, where)),
    where,
  )
  const { normalizer, pre_tokenizer: preTokenizer, decoder } = library
  return {
    byteLevel,
    normalize: normalizer && ((text) => normalizer(text)),
    cut:
      preTokenizer && steps.length > 0
        ? (text, section) => preTokenizer(text, { section_index: section })
        : (text) => [text],
    decode:
      byteLevel && description.decoder?.type === 'ByteLevel'
        ? null
        : (tokens) => (decoder ? decoder(tokens) : tokens.join(' ')),
  }
}

/** The library with an empty model: only its normaliser, pre-tokenizer and decoder are used. */
function buildLibrary(description: TokenizerDescription, steps: Json[], where: string): LibraryParts {
  try {
    const library: LibraryParts = new Library(
      {
        normalizer: description.normalizer,
        pre_tokenizer: steps.length === 0 ? null : { type: 'Sequence', pretokenizers: steps },
        post_processor: null,
        decoder: description.decoder,
        added_tokens: [],
        model: { type: 'BPE', vocab: {}, merges: [] },
      },
      {},
    )
    keepByteOrderMarks(library.decoder)
    return library
  } catch (error) {
    return fail(
      'Error',
      'ERR_CONFIG',
      `${where} tokenizer.json: ${error instanceof Error ? error.message : error}`,
      error,
    )
  }
}

/** The library's `ByteFallback` decoder drops a byte order mark at the start of its bytes; text is not ours to change. */
function keepByteOrderMarks(decoder: unknown): void {
  if (typeof decoder !== 'object' && typeof decoder !== 'function') return
  const parts = decoder as { decoders?: unknown[]; text_decoder?: InstanceType<typeof TextDecoder> } | null
  if (parts?.text_decoder) parts.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  for (const part of parts?.decoders ?? []) keepByteOrderMarks(part)
}
