import type { Example } from '../../data/example.js'

/** How examples become tokens, and tokens become the text that rewards read. */
export interface PromptCodec {
  encode(example: Example): { tokens: readonly number[]; text: string }
  /** Special tokens kept. */
  decode(tokens: readonly number[]): string
}

/** The tokenizer's part that trainers use. */
export interface ChatTokenizer {
  encode(text: string): number[]
  decode(tokens: readonly number[], options?: { skipSpecialTokens?: boolean }): string
  applyChatTemplate(
    messages: readonly Example['messages'][number][],
    options?: { tools?: Example['tools']; addGenerationPrompt?: boolean },
  ): number[]
  renderChatTemplate(
    messages: readonly Example['messages'][number][],
    options?: { tools?: Example['tools']; addGenerationPrompt?: boolean },
  ): string
}

/** Prompts by the model's chat template, ready for the reply. */
export function chatCodec(tokenizer: ChatTokenizer): PromptCodec {
  const optionsOf = ({ tools }: Example) => ({ addGenerationPrompt: true, ...(tools.length > 0 && { tools }) })
  return {
    encode: (example) => ({
      tokens: tokenizer.applyChatTemplate(example.messages, optionsOf(example)),
      text: tokenizer.renderChatTemplate(example.messages, optionsOf(example)),
    }),
    decode: (tokens) => tokenizer.decode(tokens, { skipSpecialTokens: false }),
  }
}

/** An encoded prompt of the data set. */
export interface DrawnPrompt {
  /** Index into the data set. */
  index: number
  example: Example
  tokens: Int32Array
  text: string
}

export function encodePrompt(codec: PromptCodec, example: Example, index: number): DrawnPrompt {
  const { tokens, text } = codec.encode(example)
  return { index, example, tokens: Int32Array.from(tokens), text }
}
