// A question as each handler asks it.

import type { Message, Tool } from '../../data/example.js'
import { toPlain } from '../../text/json-print.js'
import { toolN1System } from '../../text/prompts/tool-n1.js'
import type { PromptPart, Question } from '../asker.js'
import { type Handler, isToolN1 } from '../tool-calls.js'
import type { BfclVersion } from './categories.js'
import { nativeTools, promptDocs } from './docs.js'
import { defaultSystem } from './prompts/default.js'
import { chatMl, chatMlAnswer, qwenPrompt } from './prompts/qwen.js'
import { toolN1BfclSystem } from './prompts/tool-n1.js'
import type { BfclMessage, BfclQuestion } from './types.js'

export interface PromptOptions {
  handler: Handler
  version: BfclVersion
  /**
   * For endpoints, under `qwen-fc`: tools in JSON Schema's types, with `_` for dots in names. Default false: tools as the benchmark writes
   * them, for a chat template.
   */
  native?: boolean
}

/**
 * What a model is asked. `messages` (and `tools`) are for chat endpoints and for chat templates; `prompt` is the official text where the
 * official handler writes control tokens itself.
 */
export function bfclQuestion(question: BfclQuestion, { handler, version, native = false }: PromptOptions): Question {
  const { id, messages, functions, category } = question
  const docs = promptDocs(functions, category)
  if (isToolN1(handler)) {
    const system = handler === 'tool-n1' ? toolN1BfclSystem(docs) : toolN1System(docs, undefined, { reasoning: false })
    const replaced = replaceSystem(messages, system)
    return { id, messages: replaced.map(asMessage), prompt: [...replaced.flatMap(chatMl), ...chatMlAnswer] }
  }
  if (handler === 'qwen-fc') {
    const tools = native
      ? nativeTools(docs)
      : docs.map((doc): Tool => ({ type: 'function', function: toPlain(doc) as Tool['function'] }))
    return { id, messages: messages.map(asMessage), tools, prompt: qwenPrompt(messages, docs, version) }
  }
  return { id, messages: promptMessages(messages, defaultSystem(docs, version)).map(asMessage) }
}

/** A system message of the question's own follows the prompt's, after an empty line. */
function promptMessages(messages: readonly BfclMessage[], system: string): BfclMessage[] {
  const [first, ...rest] = messages
  if (first?.role !== 'system') return [{ role: 'system', content: system }, ...messages]
  return [{ role: 'system', content: `${system}\n\n${first.content}` }, ...rest]
}

function replaceSystem(messages: readonly BfclMessage[], system: string): BfclMessage[] {
  const rest = messages[0]?.role === 'system' ? messages.slice(1) : messages
  return [{ role: 'system', content: system }, ...rest]
}

// Files hold the roles that templates know; another one is for the template to refuse.
const asMessage = ({ role, content }: BfclMessage): Message => ({ role: role as Message['role'], content })

/** The text of a prompt. */
export const promptText = (parts: readonly PromptPart[]): string => parts.map((part) => part.text).join('')
