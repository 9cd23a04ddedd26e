// What the readers of record formats share: fields, tools, calls, turns, each with its own message.

import { JsonNumber, type JsonObject, type JsonValue, maxPythonDigits, parseJson } from '../../text/json.js'
import type { Message } from '../example.js'
import { BadRecord, type ProblemKind } from '../problems.js'
import { makeCall, type Sample } from '../sample.js'

export interface ReadContext {
  /** Also answers in words become samples, with no call as the right answer. A record that says itself that no call is right always is one. */
  noCall: boolean
  /** Also turns that call a tool which is not in the list become samples, where a reader tells turns apart. */
  keepUnknownTools: boolean
  /** Reports a turn that gives no sample although it should. */
  drop: (kind: ProblemKind, reason: string, id: string) => void
}

/**
 * A reader turns one record into samples (a conversation may hold several) or throws a {@link BadRecord} whose message says what is
 * wrong.
 */
export type RecordReader = (record: JsonObject, id: string, context: ReadContext) => Sample[]

export function kind(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Map) return 'an object'
  return value instanceof JsonNumber ? 'a number' : `a ${typeof value}`
}

/** A name or role for a message: quoted and short. */
export function shown(value: JsonValue | undefined): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : kind(value)
}

export function stringField(record: JsonObject, key: string): string {
  const value = record.get(key)
  if (typeof value !== 'string') throw new BadRecord('field', `expected "${key}" to be a string, got ${kind(value)}`)
  return value
}

export function listField(record: JsonObject, key: string): JsonValue[] {
  const value = record.get(key)
  if (!Array.isArray(value)) throw new BadRecord('field', `expected "${key}" to be a list, got ${kind(value)}`)
  return value
}

/** JSON text inside a record. */
export function parseInner(text: string, what: string, problem: ProblemKind): JsonValue {
  try {
    return parseJson(text)
  } catch (error) {
    throw new BadRecord(problem, `${what} is not JSON: ${(error as Error).message}`)
  }
}

/** A list, or JSON text of one. */
function unpack(value: JsonValue | undefined, key: string, problem: ProblemKind): JsonValue[] {
  const list = typeof value === 'string' ? parseInner(value, `"${key}"`, problem) : value
  if (Array.isArray(list)) return list
  const missing = value === undefined ? 'field' : problem
  throw new BadRecord(missing, `expected "${key}" to be a list or the JSON text of one, got ${kind(list)}`)
}

/** Tools as bare functions: the wrapping `{"type": "function", "function": …}` comes off where it is on. */
export function readTools(value: JsonValue | undefined, key = 'tools'): JsonObject[] {
  return unpack(value, key, 'tools').map((item, i) => {
    const inner = item instanceof Map && item.get('function') instanceof Map ? item.get('function') : item
    if (!(inner instanceof Map && typeof inner.get('name') === 'string'))
      throw new BadRecord('tools', `expected tool ${i + 1} to be an object with a "name"`)
    checkValues(inner, `tool ${i + 1}`)
    return inner
  })
}

/** The right calls: a list, or JSON text of one. */
export function readCalls(value: JsonValue | undefined, key: string): JsonObject[] {
  return unpack(value, key, 'calls').map((item, i) => readCall(item, `call ${i + 1} of "${key}"`))
}

/** One call as `{name, arguments}`; other keys are left out. */
function readCall(item: JsonValue, what: string): JsonObject {
  const name = item instanceof Map ? item.get('name') : undefined
  const args = item instanceof Map ? item.get('arguments') : undefined
  if (typeof name !== 'string' || !(args instanceof Map))
    throw new BadRecord('calls', `expected ${what} to have a "name" and an object of "arguments"`)
  checkText(name, what)
  checkValues(args, what)
  return makeCall(name, args)
}

/** A call as chat APIs write it: `arguments` may be JSON text, and the whole may stand in a `function`. */
export function readToolCall(item: JsonValue, what: string): JsonObject {
  const inner = item instanceof Map && item.get('function') instanceof Map ? item.get('function') : item
  const args = inner instanceof Map ? inner.get('arguments') : undefined
  if (!(inner instanceof Map) || typeof args !== 'string') return readCall(inner ?? null, what)
  const parsed = args.trim() === '' ? new Map() : parseInner(args, `the "arguments" of ${what}`, 'calls')
  return readCall(new Map(inner).set('arguments', parsed), what)
}

/** Text that is Unicode. */
export function checkText(text: string, what: string): string {
  if (loneSurrogate.test(text))
    throw new BadRecord('encoding', `expected ${what} to be Unicode, got half of a surrogate pair`)
  return text
}

const loneSurrogate = /\p{Surrogate}/u

/**
 * Refuses what a file could hold and a reader of the truth could not give back: halves of surrogate pairs, floats beyond a double, integers
 * of more digits than Python converts (4,300).
 */
export function checkValues(value: JsonValue, what: string): void {
  if (typeof value === 'string') checkText(value, what)
  else if (value instanceof JsonNumber) checkNumber(value, what)
  else if (Array.isArray(value)) for (const item of value) checkValues(item, what)
  else if (value instanceof Map)
    for (const [key, item] of value) {
      checkText(key, what)
      checkValues(item, what)
    }
}

function checkNumber(number: JsonNumber, what: string): void {
  const { lexeme } = number
  if (lexeme.length < 300 && !/[eE]/.test(lexeme)) return
  const short = `${lexeme.slice(0, 12)}${lexeme.length > 12 ? '…' : ''}`
  if (number.isInteger) {
    if (lexeme.replace('-', '').length <= maxPythonDigits) return
    throw new BadRecord('number', `expected ${what} to have integers of at most 4,300 digits, got ${short}`)
  }
  if (Number.isFinite(Number(lexeme))) return
  throw new BadRecord('number', `expected ${what} to have numbers that a double can hold, got ${short}`)
}

const shareGptRoles = new Map<string, Message['role']>([
  ['system', 'system'],
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['function_call', 'assistant'],
  ['observation', 'tool'],
  ['tool', 'tool'],
])

/** A turn written as `{from, value}`. `from` is kept beside its role: a `function_call` is an assistant's turn of another kind. */
export function readShareGptTurn(
  value: JsonValue,
  index: number,
): { from: string; role: Message['role']; content: string } {
  const from = value instanceof Map ? value.get('from') : undefined
  const content = value instanceof Map ? value.get('value') : undefined
  const role = typeof from === 'string' ? shareGptRoles.get(from) : undefined
  if (typeof from !== 'string' || role === undefined)
    throw new BadRecord(
      'field',
      `expected turn ${index + 1} to be from human, gpt, observation or function_call, got ${shown(from)}`,
    )
  if (typeof content !== 'string')
    throw new BadRecord('field', `expected turn ${index + 1} to have a text "value", got ${kind(content)}`)
  return { from, role, content: checkText(content, `turn ${index + 1}`) }
}

/** Id of the n-th sample (from 0) of a record. */
export const turnId = (id: string, index: number): string => (index === 0 ? id : `${id}/${index + 1}`)
