// Decoders of answers that carry JSON between <tool_call> tags.

import { type JsonValue, parseJson } from '../../../text/json.js'
import { pyDict } from '../../../text/python/constants.js'
import { PythonError } from '../../../text/python/raise.js'
import { pyRepr } from '../../../text/python/repr.js'
import { fromJson, type PyDict, type PyValue, pyType } from '../../../text/python/value.js'
import type { Decoded } from '../check.js'
import { pyStrip } from '../text.js'

const opening = '<tool_call>'
const closing = '</tool_call>'

/**
 * Tool-N1's handler: the first `<tool_call>…</tool_call>` holds a JSON list of `{name, arguments}`. Anything else fails: no tags, no JSON, a
 * single object, one call a tag. What stands between the names is not looked at.
 */
export function decodeToolN1(text: string): Decoded {
  const from = text.indexOf(opening)
  const to = from < 0 ? -1 : text.indexOf(closing, from + opening.length)
  if (to < 0) return { failure: `no ${opening}…${closing} in the answer` }
  const calls = jsonOrUndefined(pyStrip(text.slice(from + opening.length, to)))
  if (calls === undefined) return { failure: `no JSON between ${opening} and ${closing}` }
  // What Python can loop over: the empty object and the empty text hold no call as well.
  if (calls === '' || (calls instanceof Map && calls.size === 0)) return { value: [] }
  if (!Array.isArray(calls)) return { failure: `expected a list of calls, got ${pyType(fromJson(calls))}` }
  return collect(calls, (call) => {
    if (!(call instanceof Map)) return null
    const name = call.get('name')
    const args = call.get('arguments')
    return name === undefined || args === undefined ? null : named(fromJson(name), fromJson(args))
  })
}

/**
 * Qwen's function calling as BFCL reads it: every `<tool_call>`, line break, JSON, line break, `</tool_call>` is a call; JSON that does not
 * parse is passed over, and an answer without any is an empty list.
 */
export function decodeQwen(text: string): Decoded {
  const calls: JsonValue[] = []
  const start = `${opening}\n`
  const end = `\n${closing}`
  for (let at = text.indexOf(start); at >= 0; ) {
    const from = at + start.length
    const to = text.indexOf(end, from)
    if (to < 0) break
    const call = jsonOrUndefined(text.slice(from, to))
    if (call !== undefined) calls.push(call)
    at = text.indexOf(start, to + end.length)
  }
  const other = calls.find((call) => !(call instanceof Map))
  if (other !== undefined) return { failure: `expected calls, got ${pyRepr(fromJson(other)).slice(0, 80)}` }
  return collect(calls, (call) => {
    if (!(call instanceof Map)) return null
    const name = call.get('name')
    const args = call.get('arguments')
    return name === undefined || !(args instanceof Map) ? null : named(fromJson(name), fromJson(args))
  })
}

function jsonOrUndefined(text: string): JsonValue | undefined {
  try {
    return parseJson(text, 'python')
  } catch {
    return undefined
  }
}

function collect(calls: readonly JsonValue[], read: (call: JsonValue) => PyDict | null): Decoded {
  const decoded: PyValue[] = []
  for (const call of calls) {
    const made = read(call)
    if (made === null) return { failure: 'expected calls with "name" and "arguments"' }
    decoded.push(made)
  }
  return { value: decoded }
}

/** `{name: arguments}`, or null for a name that is no key in Python. */
function named(name: PyValue, args: PyValue): PyDict | null {
  try {
    return pyDict([[name, args]])
  } catch (error) {
    if (error instanceof PythonError) return null
    throw error
  }
}
