// Text to tokens where no text can become a control token.
//
// Special tokens are taken out of the vocabulary and of the merges before anything is encoded, so there is no path by which
// one could come out, whatever the text spells. Added tokens that are not special (`<tool_call>` of Qwen, say) are
// words of the model and are recognised, as every other implementation does.

import { BytePairEncoder } from './bpe.js'
import { byteCharacters } from './byte-level.js'
import { type TextCutter, textCutter } from './pre-tokenizer.js'
import { type Piece, TokenMatcher } from './token-matcher.js'
import type { TokenizerDescription } from './tokenizer-json.js'

/** Pre-tokens longer than this are rare and are not cached. */
const maxCachedLength = 128
const maxCachedPieces = 200_000

export class PlainTextEncoder {
  readonly cutter: TextCutter
  private readonly vocabulary: Map<string, number>
  private readonly bpe: BytePairEncoder
  private readonly before: TokenMatcher
  private readonly after: TokenMatcher
  private readonly hasAfter: boolean
  /** Token of each byte; -1 where the vocabulary has none. */
  private readonly byteIds: Int32Array
  private readonly unkId: number | undefined
  private readonly cache = new Map<string, readonly number[]>()
  private readonly utf8 = new TextEncoder()

  constructor(
    private readonly description: TokenizerDescription,
    where: string,
  ) {
    const special = new Set(description.addedTokens.filter((token) => token.special).map((token) => token.content))
    this.vocabulary = new Map([...description.vocabulary].filter(([text]) => !special.has(text)))
    const merges = description.merges.filter(
      ([left, right]) => !special.has(left) && !special.has(right) && !special.has(left + right),
    )
    this.bpe = new BytePairEncoder(merges, this.vocabulary, where)
    this.cutter = textCutter(description, where)
    const words = description.addedTokens.filter((token) => !token.special)
    const normalized = this.cutter.normalize ? words.filter((token) => token.normalized) : []
    this.before = new TokenMatcher(words.filter((token) => !normalized.includes(token)))
    this.after = new TokenMatcher(normalized)
    this.hasAfter = normalized.length > 0
    this.byteIds = Int32Array.from(byteCharacters, (character) => this.vocabulary.get(character) ?? -1)
    this.unkId = description.unkToken === null ? undefined : this.vocabulary.get(description.unkToken)
  }

  /** Appends the tokens of `text` to `out`; `section` is 0 at the start of the whole text. */
  encode(text: string, out: number[], section = 0): void {
    let at = section
    for (const piece of this.before.split(text)) {
      if (typeof piece === 'string') this.encodeNormalized(piece, out, at)
      else out.push(piece.id)
      at++
    }
  }

  private encodeNormalized(text: string, out: number[], section: number): void {
    const normalized = this.cutter.normalize ? this.cutter.normalize(text) : text
    const pieces: Piece[] = this.hasAfter ? this.after.split(normalized) : [normalized]
    for (const piece of pieces) {
      if (typeof piece !== 'string') out.push(piece.id)
      else if (piece !== '') for (const word of this.cutter.cut(piece, section)) this.encodeWord(word, out)
    }
  }

  private encodeWord(word: string, out: number[]): void {
    let ids = this.cache.get(word)
    if (ids === undefined) {
      ids = this.merge(word)
      if (word.length <= maxCachedLength) {
        if (this.cache.size >= maxCachedPieces) this.cache.clear()
        this.cache.set(word, ids)
      }
    }
    for (let i = 0; i < ids.length; i++) out.push(ids[i]!)
  }

  private merge(word: string): readonly number[] {
    const bytes = this.cutter.byteLevel ? this.utf8.encode(word) : null
    if (this.description.ignoreMerges) {
      const whole = this.vocabulary.get(bytes ? Array.from(bytes, (byte) => byteCharacters[byte]).join('') : word)
      if (whole !== undefined) return [whole]
    }
    return this.bpe.encode(bytes ? this.byteSymbols(bytes) : this.characterSymbols(word))
  }

  /** A byte without a token is left out, as the `tokenizers` library does where there is no unknown token. */
  private byteSymbols(bytes: Uint8Array): number[] {
    const symbols: number[] = []
    for (let i = 0; i < bytes.length; i++) {
      const symbol = this.byteIds[bytes[i]!]!
      if (symbol >= 0) symbols.push(symbol)
      else this.pushUnknown(symbols)
    }
    return symbols
  }

  private characterSymbols(word: string): number[] {
    const symbols: number[] = []
    for (const character of word) {
      const symbol = this.vocabulary.get(character)
      if (symbol !== undefined) {
        symbols.push(symbol)
        continue
      }
      const fallback = this.description.byteFallback ? this.fallbackSymbols(character) : null
      if (fallback) symbols.push(...fallback)
      else this.pushUnknown(symbols)
    }
    return symbols
  }

  /** `<0xE4><0xBD>…`, or null where the vocabulary lacks one of them. */
  private fallbackSymbols(character: string): number[] | null {
    const ids = Array.from(this.utf8.encode(character), (byte) =>
      this.vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    )
    return ids.every((id) => id !== undefined) ? ids : null
  }

  private pushUnknown(symbols: number[]): void {
    if (this.unkId === undefined) return
    if (this.description.fuseUnk && symbols.at(-1) === this.unkId) return
    symbols.push(this.unkId)
  }
}
