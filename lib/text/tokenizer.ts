// A model's tokenizer: text to tokens and back, chat templates, and the line between text that is ours and text that is not.
//
// Two encoders: `encode` is for text that we wrote (control tokens that it spells become control tokens), `encodeText` for
// everything else (they stay text). `applyChatTemplate` keeps that line inside a rendered conversation: see untrusted.ts.

import { fail } from '../errors.js'
import type { TokenizerFiles } from '../formats/model-source.js'
import { bytesOfToken } from './byte-level.js'
import { type ChatMessage, ChatTemplate, type ChatTemplateOptions } from './chat-template.js'
import { StreamDecoder } from './stream-decoder.js'
import { PlainTextEncoder } from './text-encoder.js'
import { type AddedToken, TokenMatcher } from './token-matcher.js'
import { describeTokenizer, type Json, type TokenizerDescription } from './tokenizer-json.js'
import { UntrustedText } from './untrusted.js'

export type { ChatMessage, ChatTemplateOptions } from './chat-template.js'

export interface TokenizerOptions {
  /** Rows of the model's embedding; a token beyond them is an error. */
  vocabSize?: number
  /** Start of error messages, default `[tokenizer]`. */
  where?: string
}

const empty = new Uint8Array(0)

export class Tokenizer {
  /** One more than the largest token. */
  readonly vocabSize: number
  /** Text to token of every special (control) token. */
  readonly specialTokens: ReadonlyMap<string, number>
  readonly bosTokenId: number | null
  readonly eosTokenId: number | null
  readonly padTokenId: number | null
  /** The files this was made of, for saving. */
  readonly files: TokenizerFiles

  private readonly description: TokenizerDescription
  private readonly where: string
  private readonly plain: PlainTextEncoder
  private readonly control: TokenMatcher
  private readonly untrusted: UntrustedText
  private readonly ids: ReadonlyMap<string, number>
  private readonly texts: (string | undefined)[] = []
  private readonly specialIds: ReadonlySet<number>
  private readonly bytesOf: (Uint8Array | undefined)[] = []
  private readonly prefix: number[]
  private readonly suffix: number[]
  private parsedTemplate: ChatTemplate | null = null

  /** Errors: `ERR_FORMAT` (broken files, or a vocabulary larger than the model's), `ERR_CONFIG` (a kind that is not supported). */
  constructor(files: TokenizerFiles, { vocabSize, where = '[tokenizer]' }: TokenizerOptions = {}) {
    this.files = files
    this.where = where
    const description = describeTokenizer(files, where)
    this.description = description
    const ids = new Map(description.vocabulary)
    for (const token of description.addedTokens) {
      const known = ids.get(token.content)
      if (known !== undefined && known !== token.id) {
        fail(
          'Error',
          'ERR_FORMAT',
          `${where} tokenizer.json: ${JSON.stringify(token.content)} is token ${known} in the vocabulary and ${token.id} among the added tokens`,
        )
      }
      ids.set(token.content, token.id)
    }
    this.ids = ids
    let largest = -1
    for (const [text, id] of ids) {
      if (vocabSize !== undefined && id >= vocabSize) {
        fail(
          'RangeError',
          'ERR_FORMAT',
          `${where} expected tokens below the model's ${vocabSize} embedding rows, ${JSON.stringify(text)} is token ${id}: the tokenizer is not this model's`,
        )
      }
      if (this.texts[id] !== undefined) {
        fail(
          'Error',
          'ERR_FORMAT',
          `${where} tokenizer.json: token ${id} is both ${JSON.stringify(this.texts[id])} and ${JSON.stringify(text)}`,
        )
      }
      this.texts[id] = text
      if (id > largest) largest = id
    }
    this.vocabSize = largest + 1
    const special = description.addedTokens.filter((token) => token.special)
    this.specialTokens = new Map(special.map((token) => [token.content, token.id]))
    this.specialIds = new Set(this.specialTokens.values())
    this.control = new TokenMatcher(special)
    this.untrusted = new UntrustedText(special)
    this.plain = new PlainTextEncoder(description, where)
    const role = (text: string | null) => (text === null ? null : (ids.get(text) ?? null))
    this.bosTokenId = role(description.roles.bos)
    this.eosTokenId = role(description.roles.eos)
    this.padTokenId = role(description.roles.pad)
    ;[this.prefix, this.suffix] = surroundings(description.postProcessor, where)
  }

  /** Whether there is a chat template to apply. */
  get hasChatTemplate(): boolean {
    return this.description.chatTemplate !== null
  }

  /**
   * Tokens of text that we wrote: a control token that it spells becomes one. `addSpecialTokens` puts what tokenizer.json
   * asks for around it (a first token, for some models); off by default, because chat templates write their own.
   */
  encode(text: string, { addSpecialTokens = false }: { addSpecialTokens?: boolean } = {}): number[] {
    this.expectText(text, 'encode')
    const out: number[] = addSpecialTokens ? [...this.prefix] : []
    this.encodePieces(text, null, out)
    if (addSpecialTokens) out.push(...this.suffix)
    return out
  }

  /** Tokens of text that is not ours: no control token can come out, whatever the text spells. */
  encodeText(text: string): number[] {
    this.expectText(text, 'encodeText')
    const out: number[] = []
    this.plain.encode(text, out)
    return out
  }

  /**
   * Text of tokens. Bytes that are no UTF-8 become U+FFFD; tokens that the vocabulary does not know (padding rows of the
   * embedding) give nothing. Spaces are never "cleaned up": the text is what the tokens say.
   */
  decode(tokens: readonly number[], { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {}): string {
    for (const token of tokens) {
      if (!Number.isInteger(token) || token < 0) {
        fail('RangeError', 'ERR_RANGE', `${this.where} decode expected non-negative integers, got ${String(token)}`)
      }
    }
    const kept = skipSpecialTokens ? tokens.filter((token) => !this.specialIds.has(token)) : tokens
    const { decode } = this.plain.cutter
    if (decode) return decode(kept.map((token) => this.texts[token]).filter((text) => text !== undefined))
    const parts = kept.map((token) => this.tokenBytes(token))
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts))
  }

  /** A decoder for tokens as they are sampled. */
  streamDecoder({ skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {}): StreamDecoder {
    const skipped = (token: number) => skipSpecialTokens && this.specialIds.has(token)
    const byteLevel = this.plain.cutter.decode === null
    return new StreamDecoder({
      bytes: (token) => (byteLevel ? (skipped(token) ? empty : this.tokenBytes(token)) : null),
      decode: (tokens) => this.decode(tokens, { skipSpecialTokens }),
    })
  }

  /** The token whose text this is, exactly. */
  tokenId(text: string): number | null {
    return this.ids.get(text) ?? null
  }

  /** A token's text as the vocabulary spells it (bytes as printable characters, in byte-level vocabularies). */
  tokenText(token: number): string | null {
    return this.texts[token] ?? null
  }

  /** The conversation as text, exactly as transformers renders it. For display; `applyChatTemplate` makes the tokens. */
  renderChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    this.checkMessages(messages)
    return this.render(messages, options)
  }

  /**
   * The conversation as tokens: control tokens are the template's own, never the messages' or tools'. Without such spellings
   * in them the tokens are those of `encode(renderChatTemplate(…))`.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): number[] {
    this.checkMessages(messages)
    const marked = this.untrusted.mark({ messages, tools: options.tools })
    const out: number[] = []
    if (!marked) {
      this.encodePieces(this.render(messages, options), null, out)
    } else {
      // A template that looks into content (its length, its last character …) may render the marked conversation otherwise
      // than the plain one. The marked rendering is then the one to trust: it differs in layout at most, while in the plain
      // one nobody could tell the template's control tokens from the content's.
      const { value, sentinel } = marked
      const tools = value.tools === undefined ? {} : { tools: value.tools }
      this.encodePieces(this.render(value.messages, { ...options, ...tools }), sentinel, out)
    }
    return out
  }

  private render(messages: readonly ChatMessage[], options: ChatTemplateOptions): string {
    const source = this.description.chatTemplate
    if (source === null) {
      fail(
        'Error',
        'ERR_TEMPLATE',
        `${this.where} expected a chat template (chat_template.jinja, or "chat_template" in tokenizer_config.json), this tokenizer has none`,
      )
    }
    this.parsedTemplate ??= new ChatTemplate(source)
    const { bos, eos, unk, pad } = this.description.roles
    return this.parsedTemplate.render({
      bos_token: bos ?? '',
      eos_token: eos ?? '',
      unk_token: unk ?? '',
      pad_token: pad ?? '',
      ...options.variables,
      messages,
      tools: options.tools !== undefined && options.tools.length > 0 ? options.tools : null,
      add_generation_prompt: options.addGenerationPrompt ?? false,
    })
  }

  private checkMessages(messages: readonly ChatMessage[]): void {
    if (!Array.isArray(messages)) {
      fail(
        'TypeError',
        'ERR_TYPE',
        `${this.where} expected a list of messages { role, content }, got ${typeof messages}`,
      )
    }
    for (const [index, message] of messages.entries()) {
      if (typeof message !== 'object' || message === null) {
        fail(
          'TypeError',
          'ERR_TYPE',
          `${this.where} message ${index} expected { role, content }, got ${String(message)}`,
        )
      }
      this.untrusted.checkRole(message.role, `${this.where} message ${index}`)
    }
  }

  /** Cuts at control tokens first, takes the sentinels out second, so that what they kept apart stays text. */
  private encodePieces(text: string, sentinel: string | null, out: number[]): void {
    for (const [section, piece] of this.control.split(text).entries()) {
      if (typeof piece !== 'string') out.push((piece satisfies AddedToken).id)
      else this.plain.encode(sentinel === null ? piece : piece.replaceAll(sentinel, ''), out, section)
    }
  }

  private tokenBytes(token: number): Uint8Array {
    const known = this.bytesOf[token]
    if (known) return known
    const text = this.texts[token]
    const added = text !== undefined && this.description.addedTokens.some((entry) => entry.id === token)
    const bytes = text === undefined ? empty : added ? new TextEncoder().encode(text) : bytesOfToken(text)
    this.bytesOf[token] = bytes
    return bytes
  }

  private expectText(text: string, name: string): void {
    if (typeof text !== 'string')
      fail('TypeError', 'ERR_TYPE', `${this.where} ${name} expected text, got ${typeof text}`)
  }
}

/** Tokens that the post-processor puts before and after one text: those of a `TemplateProcessing`, alone or in a sequence. */
function surroundings(postProcessor: Json | null, where: string): [number[], number[]] {
  if (postProcessor === null || postProcessor.type === 'ByteLevel') return [[], []]
  if (postProcessor.type === 'Sequence') {
    const all = ((postProcessor.processors as Json[] | undefined) ?? []).map((part) => surroundings(part, where))
    return [all.flatMap(([before]) => before), all.flatMap(([, after]) => after)]
  }
  if (postProcessor.type !== 'TemplateProcessing') {
    fail(
      'Error',
      'ERR_CONFIG',
      `${where} tokenizer.json: post-processor expected TemplateProcessing or ByteLevel, got ${JSON.stringify(postProcessor.type)}`,
    )
  }
  const known = (postProcessor.special_tokens ?? {}) as Record<string, { ids?: number[] } | undefined>
  const sides: [number[], number[]] = [[], []]
  let side = 0
  for (const part of (postProcessor.single ?? []) as { SpecialToken?: { id: string }; Sequence?: unknown }[]) {
    if (part.Sequence !== undefined) side = 1
    else if (part.SpecialToken) sides[side]!.push(...(known[part.SpecialToken.id]?.ids ?? []))
  }
  return sides
}
