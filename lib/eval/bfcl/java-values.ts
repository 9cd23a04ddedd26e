// How BFCL reads the text of a Java argument: by the schema's type, with patterns where a parser would be. What does not match stays a
// string, which may still be right where the answer is the name of a variable. Every search walks over its text once.

import type { PyDict, PyValue } from '../../text/python/value.js'
import { OfficialError } from './official-error.js'
import { Finder, isSpace, matches, pyFloat, pyInt, pySpace, pyStrip, pyWord, skipSpace } from './text.js'

const space = `[${pySpace}]`
const integer = /^-?\p{Nd}+\n?$/u
const double = /^-?\p{Nd}+(\.\p{Nd}+)?([eE][+-]?\p{Nd}+)?\n?$/u
const float = /^-?\p{Nd}+(\.\p{Nd}+)?([eE][+-]?\p{Nd}+)?[fF]\n?$/u
const long = /^-?\p{Nd}+[lL]\n?$/u
const listOf = new RegExp(`new${space}+ArrayList<${pyWord}*>\\(Arrays\\.asList\\(`, 'u')
const listWithBody = new RegExp(`new${space}+ArrayList<${pyWord}*>\\(\\)${space}*\\{\\{${space}*`, 'u')
const emptyList = new RegExp(`new${space}+ArrayList<${pyWord}*>\\(\\)`, 'u')
const arrayOf = new RegExp(`new${space}+${pyWord}+\\[\\]${space}*\\{`, 'u')
const hashMap = new RegExp(`new${space}+HashMap<`, 'u')
const constructed = new RegExp(`>${space}*\\(\\)`, 'u')
const constructedWithBody = new RegExp(`>${space}*\\(\\)${space}*\\{`, 'u')

/**
 * The value that BFCL reads from the text of an argument whose schema says `type` (and `itemType`, for collections).
 *
 * @throws OfficialError where its converter raises: for types that it names but does not read, and for integers beyond 4300 digits
 */
export function javaValue(text: string, type: string, itemType?: string): PyValue {
  switch (type) {
    case 'byte':
    case 'short':
    case 'integer':
      return integer.test(text) ? readInteger(text) : text
    case 'float':
      return float.test(text) ? pyFloat(text.replace(/[fF]\n?$/, '')) : text
    case 'double':
      return double.test(text) ? pyFloat(text) : text
    case 'long':
      return long.test(text) ? readInteger(text.replace(/[lL]\n?$/, '')) : text
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text
    case 'Array':
      return array(text, itemType)
    case 'ArrayList':
      return arrayList(text, itemType)
    case 'HashMap':
      return map(text)
    case 'char':
    case 'String':
    case 'any':
      return text
  }
  throw new OfficialError(`values of Java's type ${type} cannot be read`)
}

function readInteger(text: string): bigint {
  const value = pyInt(text)
  if (value === null) throw new OfficialError('an integer of more than 4300 digits')
  return value
}

/** `new ArrayList<>(Arrays.asList(…))`, `new ArrayList<>() {{ add(…); }}`, `new ArrayList<>()`. */
function arrayList(text: string, itemType: string | undefined): PyValue {
  const item = (source: string): PyValue => {
    // quotes of both kinds come off without a look at what they are
    if (itemType === 'char' || itemType === 'String') return source.slice(1, -1)
    return itemType ? javaValue(source, itemType) : untyped(source)
  }
  const listed = elementsOfAsList(text)
  if (listed !== null) return listed.split(',').map((element) => item(pyStrip(element)))
  const body = bodyOfList(text)
  if (body !== null) return addedElements(body).map((element) => item(pyStrip(element)))
  return emptyList.test(text) ? [] : text
}

/** What stands between `Arrays.asList(` and the next `))` on the same line; at least one character. */
function elementsOfAsList(text: string): string | null {
  const ends = new Finder(text, '))')
  const lines = new Finder(text, '\n')
  for (const { end } of matches(listOf, text)) {
    const close = ends.next(end + 1)
    if (close === text.length) return null
    if (lines.next(end) > close) return text.slice(end, close)
  }
  return null
}

/** What stands between `{{` and the next `}}`, the space around it left out; at least one character. */
function bodyOfList(text: string): string | null {
  const match = listWithBody.exec(text)
  if (match === null) return null
  const from = match.index + match[0].length
  const close = text.indexOf('}}', from + 1)
  if (close >= 0) return text.slice(from, endWithoutSpace(text, from + 1, close))
  return isSpace(text.charAt(from - 1)) && text.startsWith('}}', from) ? text.charAt(from - 1) : null
}

function endWithoutSpace(text: string, least: number, end: number): number {
  let to = end
  while (to > least && isSpace(text.charAt(to - 1))) to--
  return to
}

/** The arguments of each `add(…)`, up to the next `)` on the same line. */
function addedElements(body: string): string[] {
  const added: string[] = []
  const starts = new Finder(body, 'add(')
  const ends = new Finder(body, ')')
  const lines = new Finder(body, '\n')
  for (let at = starts.next(0); at < body.length; ) {
    const from = at + 'add('.length
    const close = ends.next(from + 1)
    if (close === body.length) break
    const whole = lines.next(from) > close
    if (whole) added.push(body.slice(from, close))
    at = starts.next(whole ? close + 1 : at + 1)
  }
  return added
}

/** `new T[]{…}` up to the next `}` on the same line, cut at commas; quotes stay. */
function array(text: string, itemType: string | undefined): PyValue {
  const ends = new Finder(text, '}')
  const lines = new Finder(text, '\n')
  for (const { end } of matches(arrayOf, text)) {
    const close = ends.next(end)
    if (close === text.length) return text
    if (lines.next(end) < close) continue
    const elements = text.slice(end, close).split(',').map(pyStrip)
    return elements.filter(Boolean).map((element) => (itemType ? javaValue(element, itemType) : untyped(element)))
  }
  return text
}

/** `new HashMap<>() {{ put("k", v); }}` or `new HashMap<>()`. */
function map(text: string): PyValue {
  const start = hashMap.exec(text)
  if (start === null) return text
  const body = bodyOfMap(text.slice(start.index + start[0].length))
  if (body !== null) return putEntries(body)
  return isEmptyMap(text) ? new Map() : text
}

/** Some `new HashMap<` with `>()` behind it on the same line. */
function isEmptyMap(text: string): boolean {
  const ends = matches(constructed, text)
  const lines = new Finder(text, '\n')
  let close = ends.next()
  for (const { end } of matches(hashMap, text)) {
    while (!close.done && close.value.start < end) close = ends.next()
    if (close.done) return false
    if (close.value.start < lines.next(end)) return true
  }
  return false
}

/** What stands between the first or second `{` and the next `}`. */
function bodyOfMap(text: string): string | null {
  const match = constructedWithBody.exec(text)
  if (match === null) return null
  let from = skipSpace(text, match.index + match[0].length)
  if (text.charAt(from) === '{') from = skipSpace(text, from + 1)
  const close = text.indexOf('}', from)
  return close < 0 ? null : text.slice(from, endWithoutSpace(text, from, close))
}

/** Entries of each `put("key", value)`: the key ends at the first `",` behind which a value ends on its own line. */
function putEntries(body: string): PyDict {
  const entries: PyDict = new Map()
  const starts = new Finder(body, 'put("')
  const keyEnds = new Finder(body, '",')
  const ends = new Finder(body, ')')
  const lines = new Finder(body, '\n')
  const linesBehind = new Finder(body, '\n')
  let keyEnd = 0
  /** The first key's end at or after `from` that a value follows. */
  const nextKeyEnd = (from: number): { at: number; value: number; close: number } | null => {
    for (keyEnd = keyEnds.next(Math.max(from, keyEnd)); keyEnd < body.length; keyEnd = keyEnds.next(keyEnd + 1)) {
      const value = skipSpace(body, keyEnd + 2)
      const close = ends.next(value)
      if (close === body.length) return null
      if (linesBehind.next(value) > close) return { at: keyEnd, value, close }
    }
    return null
  }
  for (let at = starts.next(0); at < body.length; ) {
    const from = at + 'put("'.length
    const found = nextKeyEnd(from)
    if (found === null) break
    const whole = lines.next(from) > found.at
    if (whole) entries.set(body.slice(from, found.at), untyped(pyStrip(body.slice(found.value, found.close))))
    at = starts.next(whole ? found.close + 1 : at + 1)
  }
  return entries
}

/** A value whose type the schema does not say. */
function untyped(text: string): PyValue {
  if (text === 'true') return true
  if (text === 'false') return false
  if (text.startsWith('"') && text.endsWith('"')) return text.slice(1, -1)
  if (long.test(text)) return readInteger(text.slice(0, -1))
  if (float.test(text)) return pyFloat(text.replace(/[fF]\n?$/, ''))
  return pyInt(text) ?? pyFloat(text) ?? text
}
