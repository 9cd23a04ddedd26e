import type { Example } from '../../data/example.js'
import type { ChatTokenizer } from '../grpo/prompts.js'

/** An example as supervised training sees it: whole sequences, and which of their tokens are learned. */
export interface Lesson {
  tokens: Int32Array
  /** [tokens] 1 for the reply and the token that ends it, 0 for the prompt */
  mask: Uint8Array
}

/** How examples become lessons; an example without tokens is left out. */
export type LessonEncoder = (example: Example) => Lesson

/**
 * The prompt by the chat template, then the reply's tokens and the token that ends a turn: just what a rollout of this reply
 * would be. An example without a reply gives no tokens.
 */
export function replyEncoder(
  tokenizer: ChatTokenizer & { encodeText(text: string): number[] },
  endOfTurn: number,
): LessonEncoder {
  return ({ messages, tools, reply }) => {
    if (reply === undefined) return { tokens: new Int32Array(0), mask: new Uint8Array(0) }
    const prompt = tokenizer.applyChatTemplate(messages, {
      addGenerationPrompt: true,
      ...(tools.length > 0 && { tools }),
    })
    const learned = [...tokenizer.encodeText(reply), endOfTurn]
    const tokens = Int32Array.from([...prompt, ...learned])
    return { tokens, mask: Uint8Array.from(tokens, (_, i) => Number(i >= prompt.length)) }
  }
}
