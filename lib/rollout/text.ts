import type { StreamDecoder } from '../text/stream-decoder.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Rollout } from './types.js'

type Decoder = Pick<Tokenizer, 'decode'>

/** A completion's text, without the stop token that ended it. Never tokenise it again: keep the tokens. */
export function completionText(
  tokenizer: Decoder,
  { tokens, finishReason }: Pick<Rollout, 'tokens' | 'finishReason'>,
  { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {},
): string {
  return tokenizer.decode(finishReason === 'stop' ? tokens.slice(0, -1) : tokens, { skipSpecialTokens })
}

/**
 * Texts of completions while they are drawn, whole characters at a time: the pieces of a completion, joined, are its
 * {@link completionText}. `onToken` of a request is `push`.
 */
export class TextStreams {
  readonly #stop: ReadonlySet<number>
  readonly #decoders = new Map<string, StreamDecoder>()

  constructor(
    private readonly tokenizer: Pick<Tokenizer, 'streamDecoder'>,
    stop: readonly number[],
    private readonly onText: (prompt: number, sample: number, text: string) => void,
    private readonly options: { skipSpecialTokens?: boolean } = {},
  ) {
    this.#stop = new Set(stop)
  }

  /** The next token of a completion; `ended` with its last. */
  push(prompt: number, sample: number, token: number, ended: boolean): void {
    const key = `${prompt}/${sample}`
    let decoder = this.#decoders.get(key)
    if (!decoder) this.#decoders.set(key, (decoder = this.tokenizer.streamDecoder(this.options)))
    let text = this.#stop.has(token) ? '' : decoder.push(token)
    if (ended) {
      text += decoder.flush()
      this.#decoders.delete(key)
    }
    if (text) this.onText(prompt, sample, text)
  }
}
