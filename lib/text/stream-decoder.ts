// Decoding tokens as they come: a token may end in the middle of a character, which is held back until it is whole.

/** How a tokenizer turns tokens into text, as far as a stream needs it. */
export interface TokenText {
  /** Bytes of one token, empty for one that is skipped; null for tokenizers whose tokens have no bytes of their own. */
  bytes(token: number): Uint8Array | null
  decode(tokens: readonly number[]): string
}

/** The text of a growing sequence, in pieces: the pieces joined are `decode` of all tokens. */
export class StreamDecoder {
  private readonly utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
  /** For tokens without bytes: what was decoded last, and where it starts and ends among `tokens`. */
  private tokens: number[] = []
  private emitted = 0

  constructor(private readonly source: TokenText) {}

  /** Text that is complete with this token; empty while a character is not. */
  push(token: number): string {
    const bytes = this.source.bytes(token)
    if (bytes) return this.utf8.decode(bytes, { stream: true })
    this.tokens.push(token)
    return this.pushWhole()
  }

  /**
   * Without bytes the text before and after a token is compared. The context is a few tokens, not all, so that a long reply
   * does not take quadratic time.
   */
  private pushWhole(): string {
    const before = this.source.decode(this.tokens.slice(0, this.emitted))
    const after = this.source.decode(this.tokens)
    if (after.length <= before.length || after.endsWith('\ufffd')) return ''
    this.tokens = this.tokens.slice(this.emitted)
    this.emitted = this.tokens.length
    return after.slice(before.length)
  }

  /** What is left at the end: an incomplete character becomes U+FFFD, as in `decode`. */
  flush(): string {
    const rest = this.utf8.decode()
    if (this.tokens.length === this.emitted) return rest
    const before = this.source.decode(this.tokens.slice(0, this.emitted))
    const after = this.source.decode(this.tokens)
    this.tokens = []
    this.emitted = 0
    return rest + after.slice(before.length)
  }
}
