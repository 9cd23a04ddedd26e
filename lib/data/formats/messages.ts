import { JsonNumber, type JsonObject, type JsonValue } from '../../text/json.js'
import type { Message } from '../example.js'
import { BadRecord } from '../problems.js'
import { type DataFormat, dataFormats, replyText, type Sample, type Turn } from '../sample.js'
import { conversationSamples, type Lesson } from './conversation.js'
import {
  checkText,
  checkValues,
  kind,
  parseInner,
  type ReadContext,
  type RecordReader,
  readCalls,
  readToolCall,
  readTools,
  shown,
} from './fields.js'

interface ReadTurn extends Turn {
  /** What a reasoning model thought before this turn. */
  thought?: string
  /** False where the data says that this turn is not to be learned. */
  learn: boolean
}

/**
 * Conversations as OpenAI's fine-tuning files, TRL and callgrad itself have them: `{messages, tools?, truth?, …}`, or TRL's `{prompt,
 * completion?, tools?}`. Calls stand in `tool_calls` (or the older `function_call`), their arguments as an object or as JSON text.
 *
 * - With `truth` (a list of `{name, arguments}`) there is one sample; a last message of the assistant is what SFT teaches.
 * - Else, where the assistant calls tools, each of its turns with calls is a sample, the turns before it the prompt (unless its `weight`
 *   is 0).
 * - Else a last message of the assistant is what SFT teaches, and nothing is known of right calls.
 *
 * Other keys arrive as `extra`.
 */
export const readMessages: RecordReader = (record, id, context) => {
  const turns = turnsOf(record)
  const list = record.has('tools') ? record.get('tools') : record.get('functions')
  const tools = list === undefined || list === null ? [] : readTools(list, record.has('tools') ? 'tools' : 'functions')
  const base: Base = { source: sourceOf(record), tools, ...rest(record) }
  if (record.has('truth')) return [{ id, ...base, ...split(turns), calls: readCalls(record.get('truth'), 'truth') }]
  if (turns.some((turn) => turn.calls !== undefined)) return callSamples(turns, id, base, context)
  if (context.noCall && tools.length > 0) return callSamples(turns, id, base, context)
  return [{ id, ...base, ...split(turns) }]
}

type Base = Omit<Sample, 'id' | 'turns' | 'calls' | 'reply'>

const ownKeys = new Set([
  'id',
  'messages',
  'prompt',
  'completion',
  'conversations',
  'tools',
  'functions',
  'truth',
  'tool_n1_role',
])

function rest(record: JsonObject): Pick<Sample, 'role' | 'extra'> {
  const role = record.get('tool_n1_role')
  const named = isFormat(record.get('source'))
  const extra = [...record].filter(([key]) => !ownKeys.has(key) && !(named && key === 'source'))
  for (const [key, value] of extra) checkValues(value, `"${checkText(key, 'the name of a column')}"`)
  return {
    ...(typeof role === 'string' && { role: checkText(role, '"tool_n1_role"') }),
    ...(extra.length > 0 && { extra: new Map(extra) }),
  }
}

const isFormat = (value: JsonValue | undefined): value is DataFormat =>
  (dataFormats as readonly (JsonValue | undefined)[]).includes(value)

function sourceOf(record: JsonObject): DataFormat {
  const source = record.get('source')
  return isFormat(source) ? source : 'messages'
}

function turnsOf(record: JsonObject): ReadTurn[] {
  const key = ['messages', 'prompt', 'conversations'].find((name) => record.has(name)) ?? 'messages'
  const value = record.get(key)
  // Parquet files often have conversations as JSON text.
  const isText = typeof value === 'string' && value.trimStart().startsWith('[')
  const list = isText ? parseInner(value, `"${key}"`, 'field') : value
  if (!Array.isArray(list) || list.length === 0)
    throw new BadRecord(
      'field',
      `expected "${key}" to be a list, got ${Array.isArray(list) ? 'an empty one' : kind(list)}`,
    )
  const completion = record.get('completion')
  const last = key === 'prompt' && completion !== undefined ? completion : []
  if (!Array.isArray(last)) throw new BadRecord('field', `expected "completion" to be a list, got ${kind(last)}`)
  return [...list, ...last].map(readTurn)
}

/** Everything before a last reply of the assistant, and that reply. */
function split(turns: readonly ReadTurn[]): Pick<Sample, 'turns' | 'reply'> {
  const last = turns.at(-1)
  if (last?.role !== 'assistant' || last.calls !== undefined) return { turns: turns.map(bare) }
  if (turns.length === 1) throw new BadRecord('field', 'expected a message before the reply of the assistant')
  const content = last.thought === undefined ? last.content : `<think>${last.thought}</think>\n${last.content}`
  return { turns: turns.slice(0, -1).map(bare), reply: content }
}

function callSamples(turns: readonly ReadTurn[], id: string, base: Base, context: ReadContext): Sample[] {
  const lessons: Lesson[] = []
  let reported = false
  for (const [i, turn] of turns.entries()) {
    if (turn.role !== 'assistant' || !turn.learn || (turn.calls === undefined && !context.noCall)) continue
    if (i === 0) {
      context.drop('field', 'expected a message before the reply of the assistant', id)
      reported = true
      continue
    }
    const calls = turn.calls ?? []
    lessons.push({ before: i, calls, ...(turn.thought !== undefined && { reply: replyText(turn.thought, calls) }) })
  }
  if (lessons.length === 0 && !reported)
    throw new BadRecord('no_call', 'expected a turn of the assistant to learn from, got none')
  return conversationSamples(id, base, turns.map(bare), lessons)
}

const bare = ({ role, content, calls }: ReadTurn): Turn => (calls ? { role, content, calls } : { role, content })

const roles = new Map<string, Message['role']>([
  ['system', 'system'],
  ['developer', 'system'],
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['tool', 'tool'],
  ['function', 'tool'],
])

function readTurn(value: JsonValue, index: number): ReadTurn {
  const what = `message ${index + 1}`
  if (!(value instanceof Map)) throw new BadRecord('field', `expected ${what} to be an object, got ${kind(value)}`)
  const name = value.get('role')
  const role = typeof name === 'string' ? roles.get(name) : undefined
  if (role === undefined)
    throw new BadRecord(
      'field',
      `expected the role of ${what} to be system, user, assistant or tool, got ${shown(name)}`,
    )
  const calls = role === 'assistant' ? callsOf(value, what) : undefined
  const content = contentOf(value.get('content'), what, calls !== undefined)
  const thought = ['reasoning_content', 'reasoning', 'thinking'].map((key) => value.get(key)).find(isText)
  const weight = value.get('weight')
  return {
    role,
    content,
    learn: !(weight instanceof JsonNumber && weight.toNumber() === 0),
    ...(calls && { calls }),
    ...(role === 'assistant' && thought !== undefined && { thought: checkText(thought, what) }),
  }
}

const isText = (value: JsonValue | undefined): value is string => typeof value === 'string' && value !== ''

/** Text, or a list of text parts; a turn with calls needs none. */
function contentOf(value: JsonValue | undefined, what: string, mayBeEmpty: boolean): string {
  if (typeof value === 'string') return checkText(value, what)
  if (mayBeEmpty && (value === undefined || value === null)) return ''
  if (!Array.isArray(value)) throw new BadRecord('field', `expected ${what} to have text, got ${kind(value)}`)
  const parts = value.map((part) => {
    const text = part instanceof Map && part.get('type') === 'text' ? part.get('text') : undefined
    if (typeof text !== 'string') throw new BadRecord('field', `expected ${what} to have parts of text only`)
    return text
  })
  return checkText(parts.join(''), what)
}

function callsOf(message: JsonObject, what: string): JsonObject[] | undefined {
  const calls = message.get('tool_calls')
  const single = message.get('function_call')
  if (Array.isArray(calls) && calls.length > 0)
    return calls.map((call, i) => readToolCall(call, `call ${i + 1} of ${what}`))
  if (calls !== undefined && calls !== null && !Array.isArray(calls))
    throw new BadRecord('calls', `expected "tool_calls" of ${what} to be a list, got ${kind(calls)}`)
  return single instanceof Map ? [readToolCall(single, `the call of ${what}`)] : undefined
}
