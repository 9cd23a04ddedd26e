// tokenizer.json and tokenizer_config.json, checked, in the form the tokenizer works on.

import { z } from 'zod'
import { fail } from '../errors.js'
import { parseJsonObject } from '../formats/io.js'
import type { TokenizerFiles } from '../formats/model-source.js'
import type { AddedToken } from './token-matcher.js'

export type Json = Record<string, unknown>

const id = z.int().nonnegative()
const component = z.looseObject({ type: z.string() }).nullish()

// By hand: a schema over 250,000 entries takes zod a second.
const isVocabulary = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((entry) => Number.isSafeInteger(entry) && entry >= 0)

const isMergeList = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every(
    (merge) =>
      typeof merge === 'string' ||
      (Array.isArray(merge) && merge.length === 2 && typeof merge[0] === 'string' && typeof merge[1] === 'string'),
  )

const addedToken = z.looseObject({
  id,
  content: z.string(),
  special: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.boolean().default(false),
  normalized: z.boolean().optional(),
})

const schema = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: component,
  pre_tokenizer: component,
  post_processor: component,
  decoder: component,
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.custom<Record<string, number>>(isVocabulary, 'expected an object from token to non-negative integer'),
    merges: z.custom<(string | [string, string])[]>(
      isMergeList,
      'expected a list of pairs of text, or text with a space',
    ),
    unk_token: z.string().nullish(),
    fuse_unk: z.boolean().nullish(),
    byte_fallback: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
  }),
})

export interface TokenizerDescription {
  vocabulary: Map<string, number>
  merges: [string, string][]
  addedTokens: AddedToken[]
  unkToken: string | null
  fuseUnk: boolean
  byteFallback: boolean
  ignoreMerges: boolean
  normalizer: Json | null
  preTokenizer: Json | null
  postProcessor: Json | null
  decoder: Json | null
  /** Token texts by role, from tokenizer_config.json. */
  roles: { bos: string | null; eos: string | null; unk: string | null; pad: string | null }
  chatTemplate: string | null
}

/** Parses and checks; `ERR_FORMAT` says what is wrong, `ERR_CONFIG` which kind of tokenizer is not supported. */
export function describeTokenizer(files: TokenizerFiles, where: string): TokenizerDescription {
  const json = parseJsonObject(files.tokenizerJson, `${where} tokenizer.json`)
  const type = (json.model as Json | undefined)?.type
  if (type !== undefined && type !== 'BPE') {
    fail(
      'Error',
      'ERR_CONFIG',
      `${where} tokenizer.json: expected a "BPE" model (those of Llama and Qwen are), got ${JSON.stringify(type)}`,
    )
  }
  const result = schema.safeParse(json)
  if (!result.success) {
    const issue = result.error.issues[0]!
    fail('Error', 'ERR_FORMAT', `${where} tokenizer.json: "${issue.path.join('.')}" is not valid: ${issue.message}`)
  }
  const { model, added_tokens: added, ...parts } = result.data
  if (model.continuing_subword_prefix || model.end_of_word_suffix) {
    fail('Error', 'ERR_CONFIG', `${where} tokenizer.json: expected a BPE model without subword prefixes and suffixes`)
  }
  const config = parseJsonObject(files.tokenizerConfig, `${where} tokenizer_config.json`)
  const role = (name: string) => textOf(config[`${name}_token`])
  return {
    vocabulary: new Map(Object.entries(model.vocab)),
    merges: model.merges.map((merge) => splitMerge(merge, where)),
    addedTokens: added.map((token) => ({
      id: token.id,
      content: token.content,
      special: token.special,
      lstrip: token.lstrip,
      rstrip: token.rstrip,
      singleWord: token.single_word,
      normalized: token.normalized ?? !token.special,
    })),
    unkToken: model.unk_token ?? null,
    fuseUnk: model.fuse_unk ?? false,
    byteFallback: model.byte_fallback ?? false,
    ignoreMerges: model.ignore_merges ?? false,
    normalizer: parts.normalizer ?? null,
    preTokenizer: parts.pre_tokenizer ?? null,
    postProcessor: parts.post_processor ?? null,
    decoder: parts.decoder ?? null,
    roles: { bos: role('bos'), eos: role('eos'), unk: role('unk'), pad: role('pad') },
    chatTemplate: files.chatTemplate,
  }
}

function splitMerge(merge: string | [string, string], where: string): [string, string] {
  if (typeof merge !== 'string') return merge
  const cut = merge.indexOf(' ', 1)
  if (cut < 1)
    fail(
      'Error',
      'ERR_FORMAT',
      `${where} tokenizer.json: merge ${JSON.stringify(merge)} expected two tokens with a space between`,
    )
  return [merge.slice(0, cut), merge.slice(cut + 1)]
}

/** `"<s>"` or `{"content": "<s>", …}`. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  const content = (value as Json | null | undefined)?.content
  return typeof content === 'string' ? content : null
}
