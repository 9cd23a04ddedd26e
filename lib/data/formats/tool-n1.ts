import { type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { readToolN1System } from '../../text/prompts/tool-n1.js'
import { BadRecord } from '../problems.js'
import type { DataFormat, Sample, Turn } from '../sample.js'
import {
  kind,
  listField,
  parseInner,
  type RecordReader,
  readCalls,
  readShareGptTurn,
  readTools,
  shown,
  stringField,
} from './fields.js'

/**
 * What Tool-N1's own scripts write. Its data processing gives `{raw_system, tools, conversations: [{from, value}], answer, id}`, one record
 * per turn to learn; its conversion for verl gives `{prompt: [{role, content}], reward_model: {ground_truth}, …}` (or `{messages, answer}`)
 * with the tools inside the system message, from where they are read back.
 */
export const readToolN1: RecordReader = (record, id) => {
  const processed = record.has('raw_system')
  const sample = processed ? readProcessed(record, id) : readRendered(record, id)
  if (sample.turns.length === 0) throw new BadRecord('field', 'expected a turn before the answer, got none')
  return [sample]
}

function readProcessed(record: JsonObject, id: string): Sample {
  const turns = listField(record, 'conversations').map((value, i): Turn => {
    const { from, role, content } = readShareGptTurn(value, i)
    const calls = from === 'function_call' ? earlierCalls(content) : null
    return calls === null ? { role, content } : { role, content: '', calls }
  })
  const tools = readTools(record.get('tools'))
  const calls = readCalls(record.get('answer'), 'answer')
  return { id, source: sourceOf(record), role: stringField(record, 'raw_system'), turns, tools, calls }
}

function readRendered(record: JsonObject, id: string): Sample {
  const [first, ...others] = listField(record, record.has('prompt') ? 'prompt' : 'messages').map(readTurn)
  const system = first?.role === 'system' ? readSystem(first.content) : null
  if (system === null)
    throw new BadRecord('tools', "expected a system message with Tool-N1's list of tools between <tools> and </tools>")
  const tools = readTools(system.tools)
  const reward = record.get('reward_model')
  const truth = reward instanceof Map ? reward.get('ground_truth') : record.get('answer')
  // The conversion dumps a list that was text already: one more layer comes off.
  const once = typeof truth === 'string' ? parseInner(truth, '"ground_truth"', 'calls') : truth
  const calls = readCalls(once, 'ground_truth')
  return { id, source: sourceOf(record), role: system.role, turns: others, tools, calls }
}

function readSystem(text: string): ReturnType<typeof readToolN1System> {
  try {
    return readToolN1System(text)
  } catch (error) {
    throw new BadRecord('tools', `the tools in the system message are not JSON: ${(error as Error).message}`)
  }
}

function readTurn(value: JsonValue, index: number): Turn {
  const role = value instanceof Map ? value.get('role') : undefined
  const content = value instanceof Map ? value.get('content') : undefined
  if (role !== 'system' && role !== 'user' && role !== 'assistant' && role !== 'tool')
    throw new BadRecord('field', `expected the role of message ${index + 1} to be known, got ${shown(role)}`)
  if (typeof content !== 'string')
    throw new BadRecord('field', `expected message ${index + 1} to have text, got ${kind(content)}`)
  const calls = role === 'assistant' ? earlierCalls(content) : null
  return calls === null ? { role, content } : { role, content: '', calls }
}

/** Calls of an earlier turn: JSON text of a list of calls, or JSON text of that text. Null where it is something else. */
function earlierCalls(content: string): JsonObject[] | null {
  if (!content.startsWith('[') && !content.startsWith('"[')) return null
  try {
    const value = parseJson(content)
    const calls = readCalls(typeof value === 'string' ? parseJson(value) : value, 'calls')
    return calls.length > 0 ? calls : null
  } catch {
    return null
  }
}

/** The processing's ids name the set and not the record: `toolace_multiple_turn`. */
function sourceOf(record: JsonObject): DataFormat {
  const id = record.get('id')
  if (typeof id !== 'string') return 'tool-n1'
  return id.startsWith('toolace') ? 'toolace' : id.startsWith('xlam') ? 'xlam' : 'tool-n1'
}
