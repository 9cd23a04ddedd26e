import { type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { parseCallList } from '../../text/python-calls.js'
import { BadRecord } from '../problems.js'
import { makeCall, type Sample, type Turn } from '../sample.js'
import {
  checkText,
  checkValues,
  listField,
  type RecordReader,
  readShareGptTurn,
  readTools,
  stringField,
  turnId,
} from './fields.js'

const marker = 'Here is a list of functions in JSON format that you can invoke:\n'

/**
 * ToolACE's format: `{system, conversations: [{from, value}]}`; the system text ends in a JSON list of tools and rules for the reply,
 * calls are written as `[f(a="x", b=2), g()]`. Every turn of the assistant that is such a list gives one sample: the turns before it are
 * the prompt. A turn whose calls name a tool that is not in the list, or that looks like calls and cannot be read, is reported and left
 * out; it stays in the prompt of later turns.
 *
 * Tool-N1's own parser cuts an argument at a ")" inside a string; this one does not.
 */
export const readToolAce: RecordReader = (record, id, context) => {
  const { role, tools } = readSystem(stringField(record, 'system'))
  const names = new Set(tools.map((tool) => tool.get('name') as string))
  const samples: Sample[] = []
  const before: Turn[] = []
  for (const [i, value] of listField(record, 'conversations').entries()) {
    const turn = readShareGptTurn(value, i)
    const calls = turn.role === 'assistant' ? readCallTurn(turn.content, names) : null
    const learn = (list: JsonObject[]) =>
      samples.push({ id: turnId(id, samples.length), source: 'toolace', role, tools, turns: [...before], calls: list })
    if (calls === null) {
      if (turn.role === 'assistant') {
        if (looksLikeCalls(turn.content)) context.drop('calls', `turn ${i + 1}: expected calls as f(a=1), got text`, id)
        else if (context.noCall) learn([])
      }
      before.push({ role: turn.role, content: turn.content })
      continue
    }
    const unknown = calls.find((call) => !names.has(call.get('name') as string))
    if (unknown === undefined) learn(calls)
    else context.drop('unknown_tool', `turn ${i + 1}: expected a tool of the list, got "${unknown.get('name')}"`, id)
    before.push({ role: 'assistant', content: '', calls })
  }
  if (samples.length === 0)
    throw new BadRecord('no_call', 'expected a turn of the assistant with calls of tools in the list')
  return samples
}

/** The calls of a turn; null where it is no list of calls, or an empty one. */
function readCallTurn(text: string, names: ReadonlySet<string>): JsonObject[] | null {
  if (!text.trimStart().startsWith('[')) return null
  const calls = parseCallList(text, { names, bareWords: true })
  if (calls === null || calls.length === 0) return null
  return calls.map((call) => {
    checkValues(call.arguments, `the arguments of ${call.name}`)
    return makeCall(call.name, call.arguments)
  })
}

const looksLikeCalls = (text: string) => {
  const trimmed = text.trim()
  return trimmed.startsWith('[') && trimmed.endsWith(']') && trimmed.includes('(')
}

/** The role is the system text up to the marker, the tools are the JSON list that follows it. */
function readSystem(system: string): { role: string; tools: JsonObject[] } {
  const from = system.indexOf(marker)
  if (from < 0) throw new BadRecord('tools', `expected "system" to say ${JSON.stringify(marker.trim())}`)
  const start = from + marker.length
  let list: JsonValue
  try {
    list = parseJson(system.slice(start, listEnd(system, start)))
  } catch (error) {
    throw new BadRecord('tools', `the list of tools in "system" is not JSON: ${(error as Error).message}`)
  }
  return { role: checkText(system.slice(0, start), '"system"'), tools: readTools(list) }
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
