import { createHash } from 'node:crypto'
import type { Message } from '../../data/example.js'
import { type JsonValue, parseJson } from '../../text/json.js'
import { printJson } from '../../text/json-print.js'
import type { EndpointSettings } from './settings.js'
import { type WireTools, wireTools } from './tools.js'
import type { ChatRequest } from './types.js'

export type RequestBody = Record<string, unknown>

/** OpenAI's own models have given up `max_tokens`; every other server still reads it. */
const newLimitHosts: ReadonlySet<string> = new Set(['api.openai.com'])

/** The body of a chat-completions request. */
export function requestBody(
  request: ChatRequest,
  { model, url, body: extra }: EndpointSettings,
  { tools, sentName }: WireTools = wireTools(request.tools),
): RequestBody {
  const { messages, maxTokens, temperature, topP, topK, minP, seed } = request
  const limit = newLimitHosts.has(new URL(url).host) ? 'max_completion_tokens' : 'max_tokens'
  const body: RequestBody = {
    model,
    messages: tools.length > 0 ? nativeTurns(messages, sentName) : messages.map(textTurn),
    ...(tools.length > 0 && { tools, tool_choice: 'auto' }),
    [limit]: maxTokens,
    temperature,
    ...(topP !== undefined && topP !== 1 && { top_p: topP }),
    ...(topK !== undefined && topK !== 0 && { top_k: topK }),
    ...(minP !== undefined && minP !== 0 && { min_p: minP }),
    ...(seed !== undefined && { seed }),
    ...extra,
  }
  for (const [key, value] of Object.entries(body)) if (value === null) delete body[key]
  return body
}

/** SHA-256 of everything that decides an answer: where it is asked, the body, and which of several answers to it is meant. */
export function requestKey(body: RequestBody, { url }: EndpointSettings, sample = 0): string {
  return createHash('sha256')
    .update(JSON.stringify([url, sample, body]))
    .digest('hex')
}

/**
 * A turn as text. The result of a tool comes as the user's in the tags that Qwen's chat template puts there: the API takes a tool's
 * turn only behind a call with an id, and prompts that list tools in their text have no such calls.
 */
function textTurn({ role, content }: Message): object {
  return role === 'tool'
    ? { role: 'user', content: `<tool_response>\n${content}\n</tool_response>` }
    : { role, content }
}

/**
 * Turns of a conversation with native tools: an assistant's turn that is JSON of calls, with as many results behind it, becomes calls
 * with ids and their results. Any other turn stays text.
 */
function nativeTurns(messages: readonly Message[], sentName: WireTools['sentName']): object[] {
  const turns: object[] = []
  for (let at = 0; at < messages.length; at++) {
    const message = messages[at]!
    const calls = message.role === 'assistant' ? callsIn(message.content) : null
    const results = calls?.map((_, i) => messages[at + 1 + i]) ?? []
    const answered =
      results.every((result) => result?.role === 'tool') && messages[at + 1 + results.length]?.role !== 'tool'
    if (!calls || !answered) {
      turns.push(textTurn(message))
      continue
    }
    const ids = calls.map((_, i) => `call_${at}_${i}`)
    turns.push({
      role: 'assistant',
      content: null,
      tool_calls: calls.map((call, i) => {
        return { id: ids[i], type: 'function', function: { ...call, name: sentName(call.name) } }
      }),
    })
    for (const [i, result] of results.entries())
      turns.push({ role: 'tool', tool_call_id: ids[i], content: result!.content })
    at += results.length
  }
  return turns
}

/**
 * Calls that a turn consists of: JSON of a list of them, JSON text of such text (as Tool-N1's data has it), or `<tool_call>` blocks of one
 * call each (as chat templates write them).
 */
function callsIn(content: string): { name: string; arguments: string }[] | null {
  let items: JsonValue
  try {
    const blocks = blocksIn(content)
    items = blocks ? blocks.map((block) => parseJson(block)) : parseJson(content)
    if (typeof items === 'string') items = parseJson(items)
  } catch {
    return null
  }
  if (!Array.isArray(items) || items.length === 0) return null
  const calls: { name: string; arguments: string }[] = []
  for (const item of items) {
    if (!(item instanceof Map)) return null
    const name = item.get('name')
    const args = item.get('arguments')
    if (typeof name !== 'string' || !(args instanceof Map)) return null
    calls.push({ name, arguments: printJson(args, { ensureAscii: false }) })
  }
  return calls
}

const [open, close] = ['<tool_call>', '</tool_call>']

/** The insides of the blocks that a text is made of, or null where there is anything else in it. */
function blocksIn(content: string): string[] | null {
  const text = content.trim()
  if (!text.startsWith(open) || !text.endsWith(close)) return null
  const blocks: string[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(close, at)
    if (!text.startsWith(open, at) || end < 0) return null
    blocks.push(text.slice(at + open.length, end))
    at = end + close.length
    while (/\s/.test(text.charAt(at))) at++
  }
  return blocks
}
