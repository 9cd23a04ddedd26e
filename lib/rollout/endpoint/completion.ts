import { parseJson } from '../../text/json.js'
import type { ChatAnswer, ChatToolCall } from './types.js'

/**
 * An answer as one text, in the form that rewards and parsers read: thoughts that the server keeps apart go back into
 * `<think>…</think>`, native calls become one `<tool_call>[…]</tool_call>` block. Arguments keep the characters they came in, so that 1
 * and 1.0 stay apart; arguments that are no JSON become a JSON string, which no truth equals.
 */
export function completionOf({ content, reasoning, toolCalls }: ChatAnswer): string {
  const parts = [
    ...(reasoning !== '' && !content.includes('<think>') ? [`<think>${reasoning}</think>`] : []),
    ...(content !== '' ? [content] : []),
    ...(toolCalls.length > 0 ? [toolCallBlock(toolCalls)] : []),
  ]
  return parts.join('\n')
}

/** Native calls as a `<tool_call>` block. */
function toolCallBlock(calls: readonly ChatToolCall[]): string {
  const items = calls.map(({ name, arguments: args }) => {
    return `{"name": ${JSON.stringify(name)}, "arguments": ${isJson(args) ? args : JSON.stringify(args)}}`
  })
  return `<tool_call>[${items.join(', ')}]</tool_call>`
}

function isJson(text: string): boolean {
  try {
    parseJson(text, 'python')
    return true
  } catch {
    return false
  }
}
