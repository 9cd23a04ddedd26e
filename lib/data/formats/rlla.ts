import type { JsonObject, JsonValue } from '../../text/json.js'
import { BadRecord } from '../problems.js'
import { makeCall, object, replyText, type Sample, type Turn } from '../sample.js'
import { checkText, checkValues, kind, listField, parseInner, type RecordReader, stringField } from './fields.js'

/**
 * ToolRL's format, `rlla`: for SFT `{instruction, input, output}`, for RL `{prompt: [system, user], reward_model: {ground_truth}}`. The
 * instruction lists the tools as text ("1. Name: …", "Description: …", "Parameters: {…}"), the input holds the conversation between
 * `<user>`, `<think>`, `<tool_call>`, `<obs>` and `<response>`, the answer is a thought with calls or a response.
 *
 * Calls lose their other name for the arguments (`parameters`). An SFT record's thought stays, in a reply of Tool-N1's form; the thoughts of
 * RL records are one fixed sentence and are left out. An answer in words is a sample only where answers without a call shall be.
 */
export const readRlla: RecordReader = (record, id, context) => {
  const { instruction, input, output, learnThought } = partsOf(record)
  const turns = readHistory(input)
  if (turns.length === 0) throw new BadRecord('field', 'expected a turn of the user before the answer, got none')
  const answer = segmentsOf(output, 'the answer')
  const calls = answer.filter(({ tag }) => tag === 'tool_call').flatMap(({ text }) => readCallLines(text))
  const thought = answer.find(({ tag }) => tag === 'think')?.text
  if (calls.length === 0 && !answer.some(({ tag }) => tag === 'response'))
    throw new BadRecord('calls', 'expected the answer to have calls or a response')
  if (calls.length === 0 && !context.noCall) throw new BadRecord('no_call', 'expected an answer with calls, got words')
  const sample: Sample = { id, source: 'rlla', turns, tools: readToolText(instruction), calls }
  return [learnThought && thought !== undefined ? { ...sample, reply: replyText(` ${thought} `, calls) } : sample]
}

interface Parts {
  instruction: string
  input: string
  output: string
  learnThought: boolean
}

function partsOf(record: JsonObject): Parts {
  const text = (value: JsonValue | undefined, what: string): string => {
    if (typeof value !== 'string') throw new BadRecord('field', `expected ${what} to be text, got ${kind(value)}`)
    return checkText(value, what)
  }
  if (!record.has('reward_model')) {
    const [instruction, input, output] = (['instruction', 'input', 'output'] as const).map((key) =>
      checkText(stringField(record, key), `"${key}"`),
    ) as [string, string, string]
    return { instruction, input, output, learnThought: true }
  }
  const contents = new Map<JsonValue | undefined, JsonValue | undefined>()
  for (const message of listField(record, 'prompt'))
    if (message instanceof Map) contents.set(message.get('role'), message.get('content'))
  const reward = record.get('reward_model')
  const truth = reward instanceof Map ? reward.get('ground_truth') : undefined
  return {
    instruction: text(contents.get('system'), 'the system message'),
    input: text(contents.get('user'), 'the message of the user'),
    output: text(truth, '"ground_truth"'),
    learnThought: false,
  }
}

const toolsHeading = 'you can use the following tools:\n'
const toolsEnd = '\n\n**Steps for Each Turn**'

/** True where a text lists tools in ToolRL's way. */
export const hasToolText = (text: JsonValue | undefined): boolean =>
  typeof text === 'string' && text.includes('**Available Tools**')

function readToolText(instruction: string): JsonObject[] {
  const from = instruction.indexOf(toolsHeading)
  if (from < 0) throw new BadRecord('tools', 'expected the instruction to list tools under **Available Tools**')
  const end = instruction.indexOf(toolsEnd, from)
  const text = instruction.slice(from + toolsHeading.length - 1, end < 0 ? undefined : end)
  const tools: JsonObject[] = []
  for (let at = 0; at < text.length; ) {
    const n = tools.length + 1
    const head = `\n${n}. Name: `
    if (!text.startsWith(head, at)) {
      if (text.slice(at).trim() === '') break
      throw new BadRecord('tools', `expected "${n}. Name: " in the list of tools`)
    }
    const description = find(text, '\nDescription: ', at, n)
    const parameters = find(text, '\nParameters: ', description, n)
    const next = text.indexOf(`\n${n + 1}. Name: `, parameters)
    const stop = next < 0 ? text.length : next
    tools.push(
      object([
        ['name', text.slice(at + head.length, description)],
        ['description', text.slice(description + '\nDescription: '.length, parameters).trim()],
        ['parameters', readParameters(text.slice(parameters + '\nParameters: '.length, stop), n)],
      ]),
    )
    at = stop
  }
  if (tools.length === 0) throw new BadRecord('tools', 'expected the instruction to list tools, got none')
  return tools
}

function find(text: string, what: string, from: number, tool: number): number {
  const at = text.indexOf(what, from)
  if (at < 0) throw new BadRecord('tools', `expected tool ${tool} to have "${what.trim()}"`)
  return at
}

function readParameters(text: string, tool: number): JsonObject {
  const value = parseInner(text.trim(), `the parameters of tool ${tool}`, 'tools')
  if (!(value instanceof Map))
    throw new BadRecord('tools', `expected the parameters of tool ${tool} to be an object, got ${kind(value)}`)
  checkValues(value, `tool ${tool}`)
  return value
}

interface Segment {
  tag: string
  text: string
}

const tags = ['user', 'think', 'tool_call', 'obs', 'response']

/** `<tag> text </tag>` one after the other, white space between. Reads each character once. */
function segmentsOf(text: string, what: string): Segment[] {
  const segments: Segment[] = []
  for (let at = 0; ; ) {
    while (at < text.length && text.charAt(at).trim() === '') at++
    if (at >= text.length) return segments
    const tag = tags.find((name) => text.startsWith(`<${name}>`, at))
    if (tag === undefined)
      throw new BadRecord('field', `expected ${what} to go on with one of ${tags.map((t) => `<${t}>`).join(' ')}`)
    const from = at + tag.length + 2
    const end = text.indexOf(`</${tag}>`, from)
    if (end < 0) throw new BadRecord('field', `expected ${what} to close its <${tag}>`)
    segments.push({ tag, text: text.slice(from, end).trim() })
    at = end + tag.length + 3
  }
}

const historyHeading = '**Dialogue Records History**'

/** The conversation as turns; thoughts of earlier turns are not part of a prompt. */
function readHistory(input: string): Turn[] {
  const text = input.trimStart()
  const turns: Turn[] = []
  for (const { tag, text: content } of segmentsOf(
    text.startsWith(historyHeading) ? text.slice(historyHeading.length) : text,
    'the conversation',
  )) {
    if (tag === 'user') turns.push({ role: 'user', content })
    else if (tag === 'obs') turns.push({ role: 'tool', content })
    else if (tag === 'response') turns.push({ role: 'assistant', content })
    else if (tag === 'tool_call') turns.push({ role: 'assistant', content: '', calls: readCallLines(content) })
  }
  return turns
}

/** One call a line: `{"name": …, "parameters": {…}}`. */
function readCallLines(text: string): JsonObject[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, i) => {
      const call = parseInner(line, `call ${i + 1}`, 'calls')
      const name = call instanceof Map ? call.get('name') : undefined
      const args = call instanceof Map ? (call.get('parameters') ?? call.get('arguments')) : undefined
      if (typeof name !== 'string' || !(args instanceof Map))
        throw new BadRecord('calls', `expected call ${i + 1} to have a "name" and an object of "parameters"`)
      checkText(name, `call ${i + 1}`)
      checkValues(args, `call ${i + 1}`)
      return makeCall(name, args)
    })
}
