import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../text/json.js'
import { printJson, toPlain } from '../text/json-print.js'
import { toolN1System } from '../text/prompts/tool-n1.js'
import type { Example, Message, Tool } from './example.js'

/** `tool-n1`: a system message in Tool-N1's words lists the tools. `native`: the model's chat template gets them. */
export type PromptStyle = 'tool-n1' | 'native'

/** A reader turns one record into examples (a conversation may hold several) or throws an Error whose message says what is wrong. */
export type RecordReader = (record: JsonObject, id: string, prompt: PromptStyle) => Example[]

/** xLAM's format: `{id, query, tools, answers}`, tools and answers as JSON text or as plain lists. */
export const readXlam: RecordReader = (record, id, prompt) => {
  const query = record.get('query')
  if (typeof query !== 'string') throw new Error(`expected "query" to be a string, got ${kind(query)}`)
  const tools = readTools(record.get('tools'))
  const truth = readCalls(record.get('answers'), 'answers')
  return [{ id, ...withPrompt([{ role: 'user', content: query }], tools, prompt), truth }]
}

/**
 * Plain conversations: `{messages, tools?, truth?, …}`. A last message of the assistant is what SFT teaches, not part of the prompt.
 * Other keys arrive as `extra`.
 */
export const readMessages: RecordReader = (record, id, prompt) => {
  const list = record.get('messages')
  if (!Array.isArray(list) || list.length === 0) throw new Error(`expected "messages" to be a list, got ${kind(list)}`)
  const messages = list.map(readMessage)
  const last = messages.at(-1)
  const reply = last?.role === 'assistant' ? last.content : undefined
  if (reply !== undefined) messages.pop()
  if (messages.length === 0) throw new Error('expected a message before the reply of the assistant')
  const tools = record.has('tools') ? readTools(record.get('tools')) : []
  const example: Example = { id, ...withPrompt(messages, tools, tools.length > 0 ? prompt : 'native') }
  if (record.has('truth')) example.truth = readCalls(record.get('truth'), 'truth')
  if (reply !== undefined) example.reply = reply
  const extra = [...record].filter(([key]) => !['id', 'messages', 'tools', 'truth'].includes(key))
  if (extra.length > 0) example.extra = toPlain(new Map(extra)) as Record<string, unknown>
  return [example]
}

/** Messages and tools for an example, in the chosen style. A system message that the data brings follows Tool-N1's. */
export function withPrompt(
  messages: Message[],
  tools: JsonObject[],
  prompt: PromptStyle,
  role?: string,
): Pick<Example, 'messages' | 'tools'> {
  if (prompt === 'native') return { messages, tools: tools.map(wrapTool) }
  return { messages: [{ role: 'system', content: toolN1System(tools, role) }, ...messages], tools: [] }
}

function wrapTool(tool: JsonObject): Tool {
  return { type: 'function', function: toPlain(tool) as Tool['function'] }
}

function readMessage(value: JsonValue, index: number): Message {
  const role = value instanceof Map ? value.get('role') : undefined
  const content = value instanceof Map ? value.get('content') : undefined
  const known = role === 'system' || role === 'user' || role === 'assistant' || role === 'tool'
  if (!known)
    throw new Error(
      `expected the role of message ${index + 1} to be system, user, assistant or tool, got ${shown(role)}`,
    )
  if (typeof content !== 'string') throw new Error(`expected message ${index + 1} to have text, got ${kind(content)}`)
  return { role, content }
}

/** Tools as bare functions: the wrapping `{"type": "function", "function": …}` comes off where it is on. */
export function readTools(value: JsonValue | undefined): JsonObject[] {
  const list = unpack(value, 'tools')
  return list.map((item, i) => {
    const inner = item instanceof Map && item.get('function') instanceof Map ? item.get('function') : item
    if (inner instanceof Map && typeof inner.get('name') === 'string') return inner
    throw new Error(`expected tool ${i + 1} to be an object with a "name"`)
  })
}

/** The right calls, as canonical JSON text that keeps 1 and 1.0 apart. */
function readCalls(value: JsonValue | undefined, key: string): string {
  const calls = unpack(value, key)
  for (const [i, call] of calls.entries()) {
    const right = call instanceof Map && typeof call.get('name') === 'string' && call.get('arguments') instanceof Map
    if (!right) throw new Error(`expected call ${i + 1} of "${key}" to have a "name" and an object of "arguments"`)
  }
  return printJson(calls)
}

function unpack(value: JsonValue | undefined, key: string): JsonValue[] {
  let list = value
  if (typeof value === 'string') {
    try {
      list = parseJson(value)
    } catch (error) {
      throw new Error(`"${key}" is not JSON: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (!Array.isArray(list)) throw new Error(`expected "${key}" to be a list or the JSON text of one, got ${kind(list)}`)
  return list
}

export function kind(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Map) return 'an object'
  return value instanceof JsonNumber ? 'a number' : `a ${typeof value}`
}

function shown(value: JsonValue | undefined): string {
  return typeof value === 'string' ? `"${value.slice(0, 40)}"` : kind(value)
}
