import { type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { CallListReader } from '../../text/python-calls.js'
import { BadRecord, type ProblemKind } from '../problems.js'
import { makeCall, type Turn } from '../sample.js'
import { conversationSamples, type Lesson } from './conversation.js'
import {
  checkText,
  checkValues,
  listField,
  type RecordReader,
  readShareGptTurn,
  readTools,
  stringField,
} from './fields.js'

const marker = 'Here is a list of functions in JSON format that you can invoke:\n'

/**
 * ToolACE's format: `{system, conversations: [{from, value}]}`; the system text ends in a JSON list of tools and rules for the reply,
 * calls are written as `[f(a="x", b=2), g()]`. Every turn of the assistant that is such a list gives one sample: the turns before it are
 * the prompt. A turn whose calls name a tool that is not in the list (unless such are kept), or that is meant as calls and cannot be read,
 * is reported and left out; it stays in the prompt of later turns. Meant as calls is what begins with "[", or has `[name(` of a tool
 * anywhere, as in a code fence: such a turn must not teach that to call nothing is right.
 *
 * Tool-N1's own parser cuts an argument at a ")" inside a string; this one does not.
 */
export const readToolAce: RecordReader = (record, id, context) => {
  const { role, tools } = readSystem(stringField(record, 'system'))
  const names = new Set(tools.map((tool) => tool.get('name') as string))
  const reader = new CallListReader({ names, bareWords: true })
  const lessons: Lesson[] = []
  const turns: Turn[] = []
  let reported = false
  const drop = (kind: ProblemKind, reason: string) => {
    context.drop(kind, `turn ${turns.length + 1}: ${reason}`, id)
    reported = true
  }
  for (const [i, value] of listField(record, 'conversations').entries()) {
    const turn = readShareGptTurn(value, i)
    const calls = turn.role === 'assistant' ? readReply(turn.content, reader) : []
    if (calls === null) drop('calls', 'expected calls as [f(a=1)] or words, got calls that cannot be read')
    const unknown = context.keepUnknownTools ? undefined : calls?.find((call) => !names.has(call.get('name') as string))
    if (unknown !== undefined) drop('unknown_tool', `expected a tool of the list, got "${unknown.get('name')}"`)
    const learn = turn.role === 'assistant' && calls !== null && (calls.length > 0 || context.noCall)
    if (learn) lessons.push({ before: turns.length, calls, dropped: unknown !== undefined })
    turns.push(
      calls !== null && calls.length > 0
        ? { role: 'assistant', content: '', calls }
        : { role: turn.role, content: turn.content },
    )
  }
  if (lessons.length === 0 && !reported)
    throw new BadRecord('no_call', 'expected a turn of the assistant with calls of tools in the list')
  return conversationSamples(id, { source: 'toolace', role, tools }, turns, lessons)
}

/** The calls of a turn of the assistant: none where it is words or an empty list, null where it is meant as calls and cannot be read. */
function readReply(text: string, reader: CallListReader): JsonObject[] | null {
  const asList = text.trimStart().startsWith('[')
  const calls = asList ? reader.read(text) : null
  if (calls === null) return asList || reader.mentions(text) ? null : []
  return calls.map((call) => {
    checkText(call.name, 'the name of a call')
    checkValues(call.arguments, `the arguments of ${call.name}`)
    return makeCall(call.name, call.arguments)
  })
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
