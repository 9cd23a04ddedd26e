import type { JsonObject, JsonValue } from '../text/json.js'
import { printJson, toPlain } from '../text/json-print.js'
import { type PromptFormat, systemOf } from '../text/prompts/formats.js'
import type { Example, Message, Tool } from './example.js'

export const dataFormats = ['xlam', 'toolace', 'tool-n1', 'messages', 'rlla'] as const
export type DataFormat = (typeof dataFormats)[number]

/** See `lib/text/prompts/formats.ts`. */
export type PromptStyle = PromptFormat

/** A turn of a conversation; calls of the assistant stay calls until a prompt format writes them. */
export interface Turn extends Message {
  calls?: readonly JsonObject[]
}

/** What a record says, before a prompt format is chosen: numbers as written, tools without wrapping. */
export interface Sample {
  id: string
  /** Where it comes from: the format it was read in, or the one that a built file names. */
  source: DataFormat
  /** The conversation before the answer, without a list of tools in it. */
  turns: readonly Turn[]
  tools: readonly JsonObject[]
  /** The right calls, each `{name, arguments}`; empty where none is right, absent where nothing is known. */
  calls?: readonly JsonObject[]
  /** What SFT teaches. */
  reply?: string
  /** The beginning of Tool-N1's system message, where the data brings its own. */
  role?: string
  /** Further columns. */
  extra?: JsonObject
}

/** A sample in a prompt format. A system message that the data brings follows Tool-N1's; without tools there is none of Tool-N1's. */
export function toExample(sample: Sample, prompt: PromptStyle): Example {
  const { id, tools, calls, reply, extra } = sample
  const messages = sample.turns.map((turn) => toMessage(turn, prompt))
  const example: Example = { id, ...withPrompt(messages, tools, tools.length > 0 ? prompt : 'native', sample.role) }
  if (calls !== undefined) example.truth = printJson([...calls])
  if (reply !== undefined) example.reply = reply
  if (extra !== undefined) example.extra = toPlain(extra) as Record<string, unknown>
  return example
}

/** Messages and tools for an example, in the chosen style. A system message that the data brings follows Tool-N1's. */
export function withPrompt(
  messages: Message[],
  tools: readonly JsonObject[],
  prompt: PromptStyle,
  role?: string,
): Pick<Example, 'messages' | 'tools'> {
  const system = systemOf(prompt, tools, role)
  if (system === null) return { messages, tools: tools.map(wrapTool) }
  return { messages: [{ role: 'system', content: system }, ...messages], tools: [] }
}

function wrapTool(tool: JsonObject): Tool {
  return { type: 'function', function: toPlain(tool) as Tool['function'] }
}

/**
 * Earlier calls as text. Tool-N1's data processing writes them as JSON text of JSON text of the list (sic); chat templates of the Qwen
 * and Hermes families write one `<tool_call>` block each. A turn is in the prompts of all later turns of its conversation: its text is
 * made once.
 */
function toMessage(turn: Turn, prompt: PromptStyle): Message {
  const { role, content, calls } = turn
  if (calls === undefined) return { role, content }
  const texts = prompt === 'native' ? nativeTexts : toolN1Texts
  let text = texts.get(turn)
  if (text === undefined) {
    const written =
      prompt === 'native'
        ? calls.map((call) => `<tool_call>\n${printJson(call, { ensureAscii: false })}\n</tool_call>`).join('\n')
        : printJson(printJson([...calls]))
    text = content === '' ? written : `${content}\n${written}`
    texts.set(turn, text)
  }
  return { role, content: text }
}

const nativeTexts = new WeakMap<Turn, string>()
const toolN1Texts = new WeakMap<Turn, string>()

/** A reply in Tool-N1's form. */
export function replyText(thought: string, calls: readonly JsonObject[]): string {
  return `<think>${thought}</think>\n<tool_call>${printJson([...calls], { ensureAscii: false })}</tool_call>`
}

/**
 * A sample as one line of a built file: the `messages` format with `tools`, `truth`, `source` and, where there is one, `tool_n1_role`.
 * Any prompt format can still be chosen when it is read. Numbers keep their characters.
 */
export function toLine({ id, source, turns, tools, calls, reply, role, extra }: Sample): string {
  const messages = turns.map(turnRecord)
  if (reply !== undefined)
    messages.push(
      object([
        ['role', 'assistant'],
        ['content', reply],
      ]),
    )
  const record = object([
    ['id', id],
    ['source', source],
  ])
  if (role !== undefined) record.set('tool_n1_role', role)
  record.set('messages', messages)
  record.set(
    'tools',
    tools.map((tool) =>
      object([
        ['type', 'function'],
        ['function', tool],
      ]),
    ),
  )
  if (calls !== undefined) record.set('truth', [...calls])
  for (const [key, value] of extra ?? []) if (!record.has(key)) record.set(key, value)
  return printJson(record, { ensureAscii: false })
}

function turnRecord({ role, content, calls }: Turn): JsonObject {
  const record = object([
    ['role', role],
    ['content', content],
  ])
  if (calls !== undefined)
    record.set(
      'tool_calls',
      calls.map((call) =>
        object([
          ['type', 'function'],
          ['function', call],
        ]),
      ),
    )
  return record
}

export const object = (entries: readonly (readonly [string, JsonValue])[]): JsonObject => new Map(entries)

/** `{name, arguments}`, in this order. */
export function makeCall(name: string, args: JsonObject): JsonObject {
  return object([
    ['name', name],
    ['arguments', args],
  ])
}
