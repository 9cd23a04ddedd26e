// Calls out of answers for benchmarks whose own form is text but that are also asked in a model's own form.

import type { Tool } from '../data/example.js'
import { type JsonObject, parseJson } from '../text/json.js'
import { toPlain } from '../text/json-print.js'
import type { DecodedCall } from '../text/python/decode.js'
import { fromJson, type PyDict, type PyValue } from '../text/python/value.js'
import type { Answer } from './asker.js'
import { decodeQwen, decodeToolN1 } from './bfcl/decode/tool-calls.js'

/**
 * `prompt`: the benchmark's own prompt. `tool-n1`: Tool-N1's training prompt (BFCL: the one of Tool-N1's handler). `tool-n1-no-reason`: the
 * training prompt that wants no thought. `qwen-fc`: tools by the chat template, or native at an endpoint.
 */
export const handlers = ['prompt', 'tool-n1', 'tool-n1-no-reason', 'qwen-fc'] as const
export type Handler = (typeof handlers)[number]

/** Whether answers are read as Tool-N1's: one block with a list of calls. */
export const isToolN1 = (handler: Handler): handler is 'tool-n1' | 'tool-n1-no-reason' =>
  handler === 'tool-n1' || handler === 'tool-n1-no-reason'

/** The calls of an answer in JSON, or why there are none to read. A native answer's own calls count, where it has some. */
export function readJsonCalls(
  answer: Answer,
  handler: Exclude<Handler, 'prompt'>,
): DecodedCall[] | { failure: string } {
  if (answer.calls && answer.calls.length > 0) return readNative(answer.calls)
  const decoded = isToolN1(handler) ? decodeToolN1(answer.text) : decodeQwen(answer.text)
  if ('failure' in decoded) return decoded
  const calls: DecodedCall[] = []
  for (const value of decoded.value as PyDict[]) {
    const [name, args] = [...value][0] as [unknown, PyValue]
    if (typeof name !== 'string' || !(args instanceof Map))
      return { failure: 'expected a name and an object of arguments' }
    calls.push({ name, args })
  }
  return calls
}

function readNative(calls: readonly { name: string; arguments: string }[]): DecodedCall[] | { failure: string } {
  const read: DecodedCall[] = []
  for (const { name, arguments: source } of calls) {
    try {
      const args = fromJson(parseJson(source, 'python'))
      if (!(args instanceof Map)) return { failure: `the arguments of ${name} are no object` }
      read.push({ name, args })
    } catch (error) {
      return { failure: `the arguments of ${name} are no JSON: ${(error as Error).message}` }
    }
  }
  return read
}

/** Behind the last end of a thought: what a thinking model says aloud. */
export function withoutThought(text: string): string {
  const end = text.lastIndexOf('</think>')
  return end < 0 ? text : text.slice(end + '</think>'.length).trimStart()
}

/** Descriptions as tools. `plainNames`: with `_` for what endpoints allow in no name. */
export function asTools(functions: readonly JsonObject[], plainNames: boolean): Tool[] {
  return functions.map((description) => {
    const made = toPlain(description) as Tool['function']
    return { type: 'function', function: plainNames ? { ...made, name: plainName(made.name) } : made }
  })
}

/** The letters, digits, `_` and `-` that OpenAI-compatible endpoints take as a name, at most 64. */
export const plainName = (name: string): string => name.replace(/[^\w-]/g, '_').slice(0, 64)
