import type { JsonObject } from '../../../text/json.js'
import { printIndented } from '../../../text/json-indent.js'
import { printJson } from '../../../text/json-print.js'
import type { PromptPart } from '../../asker.js'
import type { BfclVersion } from '../categories.js'
import type { BfclMessage } from '../types.js'

/** Qwen's control tokens around a message (ChatML). */
const start: PromptPart = { text: '<|im_start|>', control: true }
const end: PromptPart = { text: '<|im_end|>', control: true }
const text = (content: string): PromptPart => ({ text: content, control: false })

/** A whole message, with the line break behind it. */
export function chatMl({ role, content }: BfclMessage): PromptPart[] {
  return [start, text(`${role}\n${content}`), end, text('\n')]
}

/** Where the answer begins. */
export const chatMlAnswer: readonly PromptPart[] = [start, text('assistant\n')]

const beforeTools =
  '# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within ' +
  '<tools></tools> XML tags:\n<tools>'
const afterTools =
  '\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n' +
  '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
const defaultSystem = 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.'

/**
 * The prompt that BFCL's own handler writes for Qwen's function calling, to the byte: version 3's of April 2025 is Qwen2.5's form with
 * indented tools, version 4's is Qwen3's. The texts are data of ShishirPatil/gorilla (`qwen_fc.py`, Apache-2.0).
 */
export function qwenPrompt(
  messages: readonly BfclMessage[],
  docs: readonly JsonObject[],
  version: BfclVersion,
): PromptPart[] {
  const [first] = messages
  const own = first?.role === 'system' ? first.content : null
  const system = version === 'v3' ? (own ?? defaultSystem) : (own ?? '')
  const parts: PromptPart[] = []
  if (docs.length > 0) {
    const gap = version === 'v3' || own !== null ? '\n\n' : ''
    const tools = docs.map((doc) => (version === 'v3' ? `\n${printIndented(doc, 4)}\n` : `\n${printJson(doc)}`))
    parts.push(...chatMl({ role: 'system', content: `${system}${gap}${beforeTools}${tools.join('')}${afterTools}` }))
  } else if (version === 'v3' || own !== null) parts.push(...chatMl({ role: 'system', content: system }))
  const lastQuery = messages.findLastIndex(({ role }) => role === 'user')
  for (const [i, message] of messages.entries()) {
    if (message.role === 'system' && i === 0) continue
    const thought = version === 'v4' && message.role === 'assistant'
    parts.push(...chatMl(thought ? withoutThought(message, i > lastQuery, i === messages.length - 1) : message))
  }
  return [...parts, ...chatMlAnswer]
}

/** Qwen3's template takes the thought out of earlier answers, and writes one before those behind the last question. */
function withoutThought(message: BfclMessage, behindQuery: boolean, last: boolean): BfclMessage {
  const parts = message.content.split('</think>')
  const hasThought = parts.length > 1
  const thought = hasThought ? trimLines((parts[0] ?? '').split('<think>').at(-1) ?? '') : ''
  const content = hasThought ? (parts.at(-1) ?? '').replace(/^\n+/, '') : message.content
  if (!behindQuery || !(last || thought !== '')) return { ...message, content }
  return { ...message, content: `<think>\n${thought}\n</think>\n\n${content.replace(/^\n+/, '')}` }
}

function trimLines(value: string): string {
  let from = 0
  let to = value.length
  while (from < to && value[from] === '\n') from++
  while (to > from && value[to - 1] === '\n') to--
  return value.slice(from, to)
}
