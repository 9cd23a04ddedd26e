import { type JsonValue, parseJson } from '../text/json.js'

export const variants = ['v0', 'v1', 'v2', 'v3', 'v4', 'llama'] as const
export type Variant = (typeof variants)[number]

/**
 * What a reply says, as Tool-N1's reward reads it. `status`:
 * - `calls`: `calls` holds a list (perhaps empty) of objects that each have `name` and `arguments`;
 * - `no_block`: no `<tool_call>…</tool_call>`;
 * - `not_json`: the last block is not JSON, or null;
 * - `not_calls`: JSON, but not a list of calls. `value` is what it is.
 */
export interface ParsedReply {
  status: 'calls' | 'no_block' | 'not_json' | 'not_calls'
  calls: ParsedCall[]
  /** Both `<think>` and `</think>` occur, anywhere and in any order. */
  thinks: boolean
  value?: JsonValue
  /** What is wrong, in words; empty where nothing is. */
  problem: string
}

export interface ParsedCall {
  /** A string in any sensible reply; whatever JSON stood there otherwise. */
  name: JsonValue
  arguments: JsonValue
}

const marker = '<|im_start|>assistant'
const open = '<tool_call>'
const close = '</tool_call>'

/**
 * Reads the tool calls of a reply: the text after the last `<|im_start|>assistant` (all of it where there is none, and always for
 * `llama`), in it the last `<tool_call>…</tool_call>`, stripped, as Python's `json.loads` reads it; a string is parsed once more, a
 * lone object is a list of one. Never throws; time linear in the length of the text.
 *
 * Order of tags, text outside the block and further keys of a call are not looked at: so Tool-N1's released code (its paper says
 * more than it checks).
 */
export function parseToolCalls(completion: string, variant: Variant = 'v0'): ParsedReply {
  const from = variant === 'llama' ? -1 : completion.lastIndexOf(marker)
  const text = from < 0 ? completion : completion.slice(from)
  const thinks = text.includes('<think>') && text.includes('</think>')
  const block = lastBlock(text)
  if (block === null) return { status: 'no_block', calls: [], thinks, problem: 'no <tool_call>…</tool_call> block' }

  let value: JsonValue
  try {
    value = parseJson(pythonStrip(block), 'python')
    if (typeof value === 'string') value = parseJson(value, 'python')
  } catch (error) {
    return { status: 'not_json', calls: [], thinks, problem: reason(error) }
  }
  if (value === null) return { status: 'not_json', calls: [], thinks, value, problem: 'the block holds null' }
  const items = value instanceof Map ? [value] : value
  if (!Array.isArray(items)) {
    return { status: 'not_calls', calls: [], thinks, value, problem: 'the block holds no list of calls' }
  }
  const calls: ParsedCall[] = []
  for (const item of items) {
    if (!(item instanceof Map)) return notCalls(thinks, value, `call ${calls.length + 1} is not an object`)
    const name = item.get('name')
    const args = item.get('arguments')
    if (name === undefined) return notCalls(thinks, value, `call ${calls.length + 1} has no "name"`)
    if (args === undefined) return notCalls(thinks, value, `call ${calls.length + 1} has no "arguments"`)
    calls.push({ name, arguments: args })
  }
  return { status: 'calls', calls, thinks, value, problem: '' }
}

function notCalls(thinks: boolean, value: JsonValue, problem: string): ParsedReply {
  return { status: 'not_calls', calls: [], thinks, value, problem }
}

/** The inside of the last `<tool_call>…</tool_call>`, blocks found from the left and not overlapping, as a lazy regex finds them. */
function lastBlock(text: string): string | null {
  let last: string | null = null
  for (let at = 0; ; ) {
    const from = text.indexOf(open, at)
    if (from < 0) return last
    const to = text.indexOf(close, from + open.length)
    if (to < 0) return last
    last = text.slice(from + open.length, to)
    at = to + close.length
  }
}

// What Python's str.isspace() holds for; JavaScript's trim() differs in U+001C to U+001F, U+0085 and U+FEFF.
const pythonSpace = new Set(
  [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x85, 0xa0, 0x1680]
    .concat([0x2028, 0x2029, 0x202f, 0x205f, 0x3000])
    .concat(Array.from({ length: 11 }, (_, i) => 0x2000 + i)),
)

function pythonStrip(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && pythonSpace.has(text.charCodeAt(from))) from++
  while (to > from && pythonSpace.has(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function reason(error: unknown): string {
  return `the block is not JSON: ${error instanceof Error ? error.message.replace('[json] ', '') : String(error)}`
}
