import type { JsonObject, JsonValue } from '../text/json.js'
import { parseJson } from '../text/json.js'
import { printJson } from '../text/json-print.js'
import { parseCallList } from '../text/python-calls.js'
import type { Example, Message } from './example.js'
import { kind, type RecordReader, readTools, withPrompt } from './records.js'

const marker = 'Here is a list of functions in JSON format that you can invoke:\n'

/**
 * ToolACE's format: `{system, conversations: [{from, value}]}`; the system text ends in a JSON list of tools and rules for the reply,
 * calls are written as `[f(a="x", b=2), g()]`. Every turn of the assistant that is such a list gives one example: the turns before it are
 * the prompt. An example whose calls name a tool that is not in the list is left out.
 *
 * Calls of earlier turns stay in the prompt as JSON text of JSON text of a list of calls (sic), as Tool-N1's data processing has them.
 * Its own parser cuts an argument at a ")" inside a string; this one does not.
 */
export const readToolAce: RecordReader = (record, id, prompt) => {
  const { role, tools } = readSystem(record.get('system'))
  const turns = record.get('conversations')
  if (!Array.isArray(turns)) throw new Error(`expected "conversations" to be a list, got ${kind(turns)}`)
  const names = new Set(tools.map((tool) => tool.get('name')))
  const examples: Example[] = []
  const before: Message[] = []
  for (const turn of turns.map(readTurn)) {
    const calls = turn.role === 'assistant' ? parseCallList(turn.content) : null
    if (calls === null || calls.length === 0) {
      before.push(turn)
      continue
    }
    const list: JsonValue[] = calls.map(
      (call) =>
        new Map<string, JsonValue>([
          ['name', call.name],
          ['arguments', call.arguments],
        ]),
    )
    const truth = printJson(list)
    if (calls.every((call) => names.has(call.name))) {
      examples.push({ id: turnId(id, examples.length), ...withPrompt([...before], tools, prompt, role), truth })
    }
    before.push({ role: 'assistant', content: printJson(truth) })
  }
  if (examples.length === 0) throw new Error('expected a turn of the assistant with calls of tools in the list')
  return examples
}

const roles: Record<string, Message['role']> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  function_call: 'assistant',
  observation: 'tool',
  tool: 'tool',
}

function readTurn(value: JsonValue, index: number): Message {
  const from = value instanceof Map ? value.get('from') : undefined
  const content = value instanceof Map ? value.get('value') : undefined
  const role = typeof from === 'string' && Object.hasOwn(roles, from) ? roles[from] : undefined
  if (role === undefined)
    throw new Error(`expected turn ${index + 1} to be from human, gpt, observation or function_call`)
  if (typeof content !== 'string')
    throw new Error(`expected turn ${index + 1} to have a text "value", got ${kind(content)}`)
  return { role, content }
}

/** The role is the system text up to the marker, the tools are the JSON list that follows it. */
function readSystem(system: JsonValue | undefined): { role: string; tools: JsonObject[] } {
  if (typeof system !== 'string') throw new Error(`expected "system" to be a string, got ${kind(system)}`)
  const from = system.indexOf(marker)
  if (from < 0) throw new Error(`expected "system" to say ${JSON.stringify(marker.trim())}`)
  const start = from + marker.length
  return { role: system.slice(0, start), tools: readTools(parseJson(system.slice(start, listEnd(system, start)))) }
}

/** Where the JSON list that starts at `start` ends: brackets balance, those in strings do not count. */
function listEnd(text: string, start: number): number {
  let depth = 0
  let quoted = false
  for (let at = start; at < text.length; at++) {
    const c = text.charAt(at)
    if (quoted) {
      if (c === '\\') at++
      else if (c === '"') quoted = false
    } else if (c === '"') quoted = true
    else if (c === '[' || c === '{') depth++
    else if ((c === ']' || c === '}') && --depth <= 0) return at + 1
  }
  return text.length
}

function turnId(id: string, index: number): string {
  return index === 0 ? id : `${id}/${index + 1}`
}
