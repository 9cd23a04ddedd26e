import { codedError } from '../errors.js'
import { JsonNumber, type JsonValue, parseJson } from '../text/json.js'
import { fromPlain, numberText, printJson } from '../text/json-print.js'
import { firstDifference } from './difference.js'
import type { ParsedCall } from './parse.js'

/** A call as a program writes it. Numbers written in JavaScript cannot tell 1 from 1.0; JSON text can. */
export interface ToolCall {
  name: string
  arguments: unknown
}

/** The right answer: JSON text of a list of calls (keeps 1 and 1.0 apart), or the calls themselves. */
export type Truth = string | readonly (ToolCall | ParsedCall)[]

export interface CallMatch {
  /** The same names, each as often. */
  names: boolean
  /** The same calls, each as often: names and arguments. Implies `names`. */
  exact: boolean
  /** The first difference in words, null where there is none. */
  difference: string | null
}

/**
 * Compares calls as multisets of (name, `json.dumps(arguments, sort_keys=True)`): the order of calls and of keys is free, the order in
 * lists counts, 1, 1.0, "1" and true are four values. No schema, no defaults.
 *
 * Throws a TypeError (`ERR_TRUTH`) where `truth` is not a list of calls.
 */
export function matchToolCalls(calls: readonly (ToolCall | ParsedCall)[], truth: Truth): CallMatch {
  return compareCalls(calls.map(toParsedCall), readTruth(truth))
}

/** {@link matchToolCalls} on calls that are already read. */
export function compareCalls(given: readonly ParsedCall[], expected: readonly ParsedCall[]): CallMatch {
  if (given.length > 0 && expected.length > 0 && ![...given, ...expected].every(comparable)) {
    return { names: false, exact: false, difference: 'the name of a call is not a string' }
  }
  const names = sameCounts(given.map(nameKey), expected.map(nameKey))
  const exact = names && sameCounts(given.map(callKey), expected.map(callKey))
  return { names, exact, difference: exact ? null : firstDifference(given, expected, names) }
}

/** The calls of a truth. Text may be a list, or (as verl's parquet files have it) a JSON string that holds the list's text. */
export function readTruth(truth: Truth): ParsedCall[] {
  if (typeof truth !== 'string') return truth.map(toParsedCall)
  let value: JsonValue
  try {
    value = parseJson(truth, 'python')
    if (typeof value === 'string') value = parseJson(value, 'python')
  } catch (error) {
    throw codedError('TypeError', 'ERR_TRUTH', `[truth] expected JSON text of a list of calls: ${String(error)}`, error)
  }
  if (!Array.isArray(value)) throw codedError('TypeError', 'ERR_TRUTH', '[truth] expected a list of calls, got no list')
  return value.map((item, i) => {
    const name = item instanceof Map ? item.get('name') : undefined
    const args = item instanceof Map ? item.get('arguments') : undefined
    if (name === undefined || args === undefined) {
      throw codedError('TypeError', 'ERR_TRUTH', `[truth] expected call ${i + 1} to have "name" and "arguments"`)
    }
    return { name, arguments: args }
  })
}

export function toParsedCall(call: ToolCall | ParsedCall): ParsedCall {
  return { name: fromPlain(call.name), arguments: fromPlain(call.arguments) }
}

function callKey(call: ParsedCall): string {
  return `${nameKey(call)}\n${printJson(call.arguments, { sortKeys: true })}`
}

/** CPython hashes names: a list or an object is a TypeError, which counts as no match; and NaN equals nothing. */
function comparable({ name }: ParsedCall): boolean {
  if (name instanceof JsonNumber) return !Number.isNaN(name.toNumber())
  return !(Array.isArray(name) || name instanceof Map)
}

/** Equal exactly where Python's `==` holds for names, which also says 1 == 1.0 == True. */
function nameKey({ name }: ParsedCall): string {
  if (typeof name === 'boolean') return `#${Number(name)}`
  if (!(name instanceof JsonNumber)) return printJson(name)
  if (name.isInteger) return `#${BigInt(name.lexeme)}`
  const x = name.toNumber()
  return Number.isInteger(x) ? `#${BigInt(x)}` : `#${numberText(name)}`
}

function sameCounts(a: string[], b: string[]): boolean {
  if (a.length !== b.length) return false
  const counts = new Map<string, number>()
  for (const key of a) counts.set(key, (counts.get(key) ?? 0) + 1)
  for (const key of b) {
    const left = counts.get(key) ?? 0
    if (left === 0) return false
    counts.set(key, left - 1)
  }
  return true
}
