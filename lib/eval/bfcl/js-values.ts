// How BFCL reads the text of a JavaScript argument: by the schema's type, collections with patterns that cut at commas. What does not
// match stays a string. Every search walks over its text once, although the patterns themselves would not.

import type { PyDict, PyValue } from '../../text/python/value.js'
import { OfficialError } from './official-error.js'
import { Finder, pyFloat, pyInt, pySpace, pyStrip, skipSpace, stripOf } from './text.js'

const integer = /^-?\p{Nd}+\n?$/u
const float = /^-?\p{Nd}+(\.\p{Nd}+)?\n?$/u
const bigint = /^-?\p{Nd}+n\n?$/u
const newArray = new RegExp(`^new[${pySpace}]+Array\\(`, 'u')

/**
 * The value that BFCL reads from the text of an argument whose schema says `type` (and `itemType`, for arrays).
 *
 * @throws OfficialError where its converter raises: for unknown types and for integers beyond 4300 digits
 */
export function jsValue(text: string, type: string, itemType?: string): PyValue {
  switch (type) {
    case 'String':
      return quoted(text) ? text.slice(1, -1) : text
    case 'integer':
      return integer.test(text) ? readInteger(text) : text
    case 'float':
      return float.test(text) ? pyFloat(text) : text
    case 'Bigint':
      return bigint.test(text) ? readInteger(text.slice(0, -1)) : text
    case 'Boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'dict':
      return object(pyStrip(text))
    case 'array':
      return array(pyStrip(text), itemType)
    case 'any':
      return text
  }
  throw new OfficialError(`values of JavaScript's type ${type} cannot be read`)
}

const quoted = (text: string): boolean =>
  (text.startsWith('"') && text.endsWith('"')) || (text.startsWith("'") && text.endsWith("'"))

function readInteger(text: string): bigint {
  const value = pyInt(text)
  if (value === null) throw new OfficialError('an integer of more than 4300 digits')
  return value
}

/** `[…]` or `new Array(…)`; an array of arrays where the text begins like one. Where a value cannot be read the text itself. */
function array(code: string, itemType: string | undefined): PyValue {
  const rows = endOfRows(code)
  if (rows !== null) return innerArrays(code.slice(0, rows))
  const source = elementsOf(code)
  if (source === null) return code
  const elements = source === '' ? [] : source.split(',').map(pyStrip)
  if (!itemType) return elements.map(untyped)
  try {
    return elements.map((element) => jsValue(element, itemType, /^['"]/.test(element) ? 'String' : undefined))
  } catch (error) {
    if (error instanceof OfficialError) return code
    throw error
  }
}

/** What stands between the brackets that the text begins with, up to the first closing one on the same line. */
function elementsOf(code: string): string | null {
  const [from, close] = code.startsWith('[')
    ? [1, code.indexOf(']', 1)]
    : newArray.test(code)
      ? [newArray.exec(code)![0].length, code.indexOf(')', newArray.exec(code)![0].length)]
      : [0, -1]
  if (close < 0) return null
  const inside = code.slice(from, close)
  return inside.includes('\n') ? null : pyStrip(inside)
}

/**
 * Where an array of arrays ends that the text begins with, or null. A row is `[`, anything on one line, `]`; rows are parted by commas;
 * behind the last stands `]` or, after `new Array(`, `)`. A row ends at the first bracket from which the rest can be such a list, so the
 * brackets are judged from the last to the first.
 */
function endOfRows(code: string): number | null {
  const opening = code.startsWith('[') ? '[' : (newArray.exec(code)?.[0] ?? null)
  if (opening === null) return null
  const first = skipSpace(code, opening.length)
  if (code.charAt(first) !== '[') return null
  const closing = opening === '[' ? ']' : ')'
  const ends = new RowEnds(code, closing)
  return ends.after(first + 1)
}

class RowEnds {
  /** By index of a closing bracket: the end of the whole, or 0 where none follows. */
  readonly #end: Int32Array
  /** By index: the next closing bracket on the same line that an end follows, or -1. */
  readonly #next: Int32Array

  constructor(
    private readonly code: string,
    closing: string,
  ) {
    this.#end = new Int32Array(code.length)
    this.#next = new Int32Array(code.length + 1).fill(-1)
    for (let i = code.length - 1; i >= 0; i--) {
      const c = code.charAt(i)
      this.#next[i] = c === '\n' ? -1 : this.#next[i + 1]!
      if (c !== ']') continue
      this.#end[i] = this.#endBehind(i, closing)
      if (this.#end[i]! > 0) this.#next[i] = i
    }
  }

  /** The end of the whole where a row's content begins at `at`, or null. */
  after(at: number): number | null {
    const row = this.#next[at]!
    return row < 0 ? null : this.#end[row]!
  }

  #endBehind(bracket: number, closing: string): number {
    const { code } = this
    const behind = skipSpace(code, bracket + 1)
    if (code.charAt(behind) === closing) return behind + 1
    if (code.charAt(behind) !== ',') return 0
    const open = skipSpace(code, behind + 1)
    return code.charAt(open) === '[' ? (this.after(open + 1) ?? 0) : 0
  }
}

/** Each `[…]` up to the first closing bracket; the first begins with the bracket of the whole, which comes off. */
function innerArrays(code: string): PyValue[] {
  const rows: PyValue[] = []
  const ends = new Finder(code, ']')
  const lines = new Finder(code, '\n')
  for (let at = code.indexOf('['); at >= 0; ) {
    const close = ends.next(at + 1)
    if (close === code.length) break
    const whole = lines.next(at + 1) > close
    if (whole) {
      let inside = pyStrip(code.slice(at + 1, close))
      if (rows.length === 0 && inside.startsWith('[')) inside = inside.slice(1)
      rows.push(inside.split(',').map(untyped))
    }
    at = code.indexOf('[', whole ? close + 1 : at + 1)
  }
  return rows
}

/** `{…}` up to the first `}` on the same line. */
function object(code: string): PyValue {
  if (code === '{}') return new Map()
  const close = code.startsWith('{') ? code.indexOf('}') : -1
  const content = code.slice(1, close)
  return close < 0 || content.includes('\n') ? code : properties(content)
}

/** `key: value` pairs; a comma ends a value only where another key follows it before the next comma. */
function properties(content: string): PyDict {
  const entries: PyDict = new Map()
  const keyColons = new Finder(content, ':')
  const colons = new Finder(content, ':')
  const commas = new Finder(content, ',')
  for (let at = 0; at < content.length; ) {
    const colon = keyColons.next(at)
    if (colon === content.length) break
    if (colon === at) {
      at++
      continue
    }
    const key = stripOf(pyStrip(content.slice(at, colon)), '\'"')
    const from = skipSpace(content, colon + 1)
    const { end, next } = endOfValue(content, from, commas, colons)
    entries.set(key, property(pyStrip(content.slice(from, end))))
    at = next
  }
  return entries
}

/** Where a value ends that begins at `from`, and where the next key begins. */
function endOfValue(content: string, from: number, commas: Finder, colons: Finder): { end: number; next: number } {
  for (let comma = commas.next(from); comma < content.length; ) {
    const following = commas.next(comma + 1)
    if (colons.next(comma + 2) < following) {
      // The next key begins behind the comma's space; where its colon comes at once, the key is the last of that space.
      const lastColon = content.lastIndexOf(':', following - 1)
      return { end: comma, next: Math.max(comma + 1, Math.min(skipSpace(content, comma + 1), lastColon - 1)) }
    }
    comma = following
  }
  return { end: content.length, next: content.length }
}

function property(value: string): PyValue {
  if (value.startsWith('[') && value.endsWith(']')) return array(value, undefined)
  if (value.startsWith('{') && value.endsWith('}')) return object(value)
  return untyped(stripOf(value, '\'"'))
}

/** A value whose type the schema does not say. */
function untyped(text: string): PyValue {
  const value = pyStrip(text)
  if (value === 'true') return true
  if (value === 'false') return false
  if (quoted(value)) return value.slice(1, -1)
  return pyInt(value) ?? pyFloat(value) ?? value
}
