// The tokenizer of a GGUF file as the files of a Hugging Face folder.
//
// GGUF keeps tokens, merges, a type for each token and the *name* of its pre-tokenizer; the pre-tokenizer itself (a regular
// expression) is written out here for the names this knows. Byte-level BPE only: SentencePiece models have no tokenizer.json
// that could be built from their metadata without loss.

import { fail } from '../errors.js'
import type { GgufValue } from './gguf-header.js'
import type { TokenizerFiles } from './model-source.js'

type Json = Record<string, unknown>
type Metadata = ReadonlyMap<string, GgufValue>

/** Token types of GGUF that matter here. */
const controlType = 3
const userDefinedType = 4
const unusedType = 5

/** How text is cut before BPE, by GGUF's name for it. `normalizer` and `ignoreMerges` belong to the family too. */
interface PreTokenizer {
  steps: Json[]
  normalizer: Json | null
  ignoreMerges: boolean
}

const byteLevel = (useRegex: boolean): Json => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
})

/** The GPT-4 style expression of Llama 3 and Qwen2, which differ in how many digits make a piece. */
const splitByWords = (digits: string): Json => ({
  type: 'Split',
  pattern: {
    Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  },
  behavior: 'Isolated',
  invert: false,
})

const gpt2: PreTokenizer = { steps: [byteLevel(true)], normalizer: null, ignoreMerges: false }
const smollm: PreTokenizer = {
  steps: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
  normalizer: null,
  ignoreMerges: false,
}
const qwen2: PreTokenizer = {
  steps: [splitByWords('\\p{N}'), byteLevel(false)],
  normalizer: { type: 'NFC' },
  ignoreMerges: false,
}
const llama3: PreTokenizer = {
  steps: [splitByWords('\\p{N}{1,3}'), byteLevel(false)],
  normalizer: null,
  ignoreMerges: true,
}

const preTokenizers: Record<string, PreTokenizer> = {
  'gpt-2': gpt2,
  smollm,
  qwen2,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
}

function strings(metadata: Metadata, key: string, where: string): string[] {
  const value = metadata.get(key)
  if (!Array.isArray(value) || !value.every((entry): entry is string => typeof entry === 'string')) {
    fail(
      'Error',
      'ERR_FORMAT',
      `${where}: metadata "${key}" expected a list of text, got ${value === undefined ? 'nothing (the key is missing)' : 'something else'}`,
    )
  }
  return value
}

function typesOf(metadata: Metadata, count: number, where: string): number[] {
  const value = metadata.get('tokenizer.ggml.token_type')
  if (!Array.isArray(value) || value.length !== count || !value.every((entry) => typeof entry === 'number')) {
    fail(
      'Error',
      'ERR_FORMAT',
      `${where}: metadata "tokenizer.ggml.token_type" expected ${count} numbers, one for each token, got ${Array.isArray(value) ? value.length : String(value)}`,
    )
  }
  return value as number[]
}

/** Token text by the name of its role (`bos`, `eos` …), checked against the vocabulary. */
function roleToken(metadata: Metadata, tokens: string[], role: string, where: string): string | null {
  const id = metadata.get(`tokenizer.ggml.${role}_token_id`)
  if (id === undefined) return null
  const token = typeof id === 'number' ? tokens[id] : undefined
  if (token === undefined) {
    fail(
      'Error',
      'ERR_FORMAT',
      `${where}: metadata "tokenizer.ggml.${role}_token_id" expected a token below ${tokens.length}, got ${String(id)}`,
    )
  }
  return token
}

/** Control tokens that end a turn in the chat formats of these families, besides the file's own eos. */
const endOfTurn = new Set(['<|im_end|>', '<|eot_id|>', '<|eom_id|>'])

/** Every token that ends a reply: eos, end of turn and end of message by id, and the families' known control tokens. */
export function stopTokensOf(metadata: Metadata): number[] {
  const stops = new Set<number>()
  for (const role of ['eos', 'eot', 'eom']) {
    const id = metadata.get(`tokenizer.ggml.${role}_token_id`)
    if (typeof id === 'number') stops.add(id)
  }
  const tokens = metadata.get('tokenizer.ggml.tokens')
  const types = metadata.get('tokenizer.ggml.token_type')
  if (Array.isArray(tokens) && Array.isArray(types)) {
    for (const [id, token] of tokens.entries()) {
      if (types[id] === controlType && endOfTurn.has(token as string)) stops.add(id)
    }
  }
  return [...stops]
}

/** Post-processor that puts the first token before a text, where the file asks for it. */
function postProcessor(metadata: Metadata, bos: string | null, vocabulary: ReadonlyMap<string, number>): Json | null {
  if (metadata.get('tokenizer.ggml.add_bos_token') !== true || bos === null) return null
  const special = { SpecialToken: { id: bos, type_id: 0 } }
  const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } })
  return {
    type: 'TemplateProcessing',
    single: [special, sequence('A', 0)],
    pair: [special, sequence('A', 0), { SpecialToken: { id: bos, type_id: 1 } }, sequence('B', 1)],
    special_tokens: { [bos]: { id: bos, ids: [vocabulary.get(bos)], tokens: [bos] } },
  }
}

/**
 * tokenizer.json, tokenizer_config.json and the chat template, or null with the reason where the file has no tokenizer that
 * can be read (none at all, SentencePiece, an unknown pre-tokenizer): the model itself is still usable.
 */
export function tokenizerFromGguf(
  metadata: Metadata,
  where: string,
): { files: TokenizerFiles; missing: null } | { files: null; missing: string } {
  const model = metadata.get('tokenizer.ggml.model')
  const without = (missing: string) => ({ files: null, missing: `${where}: ${missing}` })
  if (model === undefined) return without('the file has no tokenizer')
  if (model !== 'gpt2')
    return without(`expected a byte-level BPE tokenizer ("gpt2"), the file has ${JSON.stringify(model)}`)
  const pre = metadata.get('tokenizer.ggml.pre')
  const preTokenizer = typeof pre === 'string' && Object.hasOwn(preTokenizers, pre) ? preTokenizers[pre]! : null
  if (!preTokenizer) {
    return without(
      `expected one of the pre-tokenizers ${Object.keys(preTokenizers).join(', ')}, the file has ${JSON.stringify(pre ?? null)}`,
    )
  }

  const tokens = strings(metadata, 'tokenizer.ggml.tokens', where)
  const types = typesOf(metadata, tokens.length, where)
  const vocabulary = new Map<string, number>()
  const added: Json[] = []
  for (const [id, content] of tokens.entries()) {
    if (types[id] === unusedType) continue
    if (vocabulary.has(content)) {
      fail(
        'Error',
        'ERR_FORMAT',
        `${where}: token ${JSON.stringify(content)} stands twice in the vocabulary (${vocabulary.get(content)} and ${id})`,
      )
    }
    vocabulary.set(content, id)
    if (types[id] !== controlType && types[id] !== userDefinedType) continue
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false }
    added.push({ id, content, ...flags, special: types[id] === controlType })
  }
  const merges = strings(metadata, 'tokenizer.ggml.merges', where).map((merge) => {
    const cut = merge.indexOf(' ', 1)
    if (cut < 1)
      fail('Error', 'ERR_FORMAT', `${where}: merge ${JSON.stringify(merge)} expected two tokens with a space between`)
    return [merge.slice(0, cut), merge.slice(cut + 1)]
  })
  const bos = roleToken(metadata, tokens, 'bos', where)
  const tokenizerJson: Json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: preTokenizer.normalizer,
    pre_tokenizer:
      preTokenizer.steps.length === 1 ? preTokenizer.steps[0] : { type: 'Sequence', pretokenizers: preTokenizer.steps },
    post_processor: postProcessor(metadata, bos, vocabulary),
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: preTokenizer.ignoreMerges,
      vocab: Object.fromEntries(vocabulary),
      merges,
    },
  }
  const template = metadata.get('tokenizer.chat_template')
  const chatTemplate = typeof template === 'string' ? template : null
  const context = metadata.get(`${String(metadata.get('general.architecture'))}.context_length`)
  const tokenizerConfig: Json = {
    add_prefix_space: false,
    added_tokens_decoder: Object.fromEntries(added.map(({ id, ...entry }) => [String(id), entry])),
    bos_token: bos,
    eos_token: roleToken(metadata, tokens, 'eos', where),
    unk_token: roleToken(metadata, tokens, 'unknown', where),
    pad_token: roleToken(metadata, tokens, 'padding', where),
    clean_up_tokenization_spaces: false,
    model_max_length: typeof context === 'number' ? context : null,
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(chatTemplate === null ? {} : { chat_template: chatTemplate }),
  }
  return {
    files: {
      tokenizerJson: JSON.stringify(tokenizerJson),
      tokenizerConfig: `${JSON.stringify(tokenizerConfig, null, 2)}\n`,
      chatTemplate,
    },
    missing: null,
  }
}
