// Readers of `[Name(key='value', …)]`.

import { decodeCalls } from '../../text/python/decode.js'
import { pyRepr } from '../../text/python/repr.js'
import type { PyValue } from '../../text/python/value.js'
import { firstBracketed } from '../acebench/decode.js'
import { pyWord, skipSpace } from '../bfcl/text.js'
import type { ApiCall } from './types.js'

/** Python's `str` of a value; quoting, and with it the difference between 5 and '5', is lost in API-Bank's files. */
export const asText = (value: PyValue): string => (typeof value === 'string' ? value : pyRepr(value))

/**
 * A call as the benchmark writes it: every value in single quotes, whatever stands inside, quotes too. A value ends where the quote is
 * followed by `, name=` with another of the API's parameters, or by the end.
 */
export function parseWritten(text: string, parameters: readonly string[]): ApiCall | null {
  const head = /^\s*\[?\s*([A-Za-z_]\w*)\(/.exec(text)
  const end = text.lastIndexOf(')')
  if (head === null || end < head[0].length) return null
  const body = text.slice(head[0].length, end)
  const starts: { name: string; at: number; value: number }[] = []
  const known = new Set(parameters)
  for (const found of body.matchAll(/(^|, *)([A-Za-z_]\w*) *= *'/g)) {
    const name = found[2] as string
    const first = starts.length === 0
    const closed = first ? found.index === 0 : body.charAt(found.index - 1) === "'"
    if (closed && (first || known.has(name)) && !starts.some((start) => start.name === name)) {
      starts.push({ name, at: found.index, value: found.index + found[0].length })
    }
  }
  if (starts.length === 0) return body.trim() === '' ? { name: head[1] as string, args: new Map() } : null
  const args = new Map<string, string>()
  for (const [i, { name, value }] of starts.entries()) {
    const to = starts[i + 1]?.at ?? body.trimEnd().length
    if (body.charAt(to - 1) !== "'" || to - 1 < value) return null
    args.set(name, body.slice(value, to - 1))
  }
  return { name: head[1] as string, args }
}

/**
 * The calls in what a model wrote: the list in the first outermost brackets as Python, else, value by value, as the benchmark writes calls
 * (where a value holds quotes, it is no Python). Null where there is none.
 */
export function readCalls(text: string, parametersOf: (api: string) => readonly string[]): ApiCall[] | null {
  const list = firstBracketed(text)
  if (list === null) return null
  const decoded = decodeCalls(list, { bareCall: 'text', loneCall: false })
  if (decoded !== null) {
    return decoded.map(({ name, args }) => ({
      name,
      args: new Map(
        [...args].flatMap(([key, value]) => (typeof key === 'string' ? [[key, asText(value)] as const] : [])),
      ),
    }))
  }
  const name = /^\[\s*([A-Za-z_]\w*)\(/.exec(list)?.[1]
  const call = name === undefined ? null : parseWritten(wholeCall(text, list), parametersOf(name))
  return call === null ? null : [call]
}

/** Brackets inside values end the list too early: the line up to its last `)]`. */
function wholeCall(text: string, list: string): string {
  const start = text.indexOf(list)
  const lineEnd = text.indexOf('\n', start)
  const line = text.slice(start, lineEnd < 0 ? text.length : lineEnd)
  const end = line.lastIndexOf(')]')
  return end < 0 ? list : line.slice(0, end + 2)
}

const nameBefore = new RegExp(`\\[(${pyWord}+)\\(`, 'u')
const word = new RegExp(`${pyWord}+`, 'gu')
const wordHere = new RegExp(`${pyWord}+`, 'uy')

/**
 * The official reader: `[Name(…)]` on one line, as long as it can be, then `key='value'` up to the next quote of either kind, `key=[…]` up to
 * the last bracket, or `key=word`. What those patterns do not match is passed over, so that lists inside quotes are cut at their first
 * quote. The official code leaves this to backtracking expressions; here every character is read a bounded number of times.
 */
export function parseOfficial(text: string): ApiCall | null {
  for (const line of text.split('\n')) {
    const head = nameBefore.exec(line)
    if (head === null) continue
    const from = head.index + head[0].length
    const end = line.lastIndexOf(')]')
    if (end >= from) return { name: head[1] as string, args: officialArguments(line.slice(from, end)) }
  }
  return null
}

function officialArguments(text: string): Map<string, string> {
  const args = new Map<string, string>()
  const lastBracket = text.lastIndexOf(']')
  word.lastIndex = 0
  for (let key = word.exec(text); key !== null; key = word.exec(text)) {
    const equals = skipSpace(text, word.lastIndex)
    if (text.charAt(equals) !== '=') continue
    const found = officialValue(text, skipSpace(text, equals + 1), lastBracket)
    if (found === null) continue
    args.set(key[0], found.value)
    word.lastIndex = found.end
  }
  return args
}

function officialValue(text: string, at: number, lastBracket: number): { value: string; end: number } | null {
  const c = text.charAt(at)
  if (c === "'" || c === '"') {
    const close = nextQuote(text, at + 2) // at least one character, even if that is a quote
    return close < 0 ? null : { value: text.slice(at + 1, close), end: close + 1 }
  }
  if (c === '[' && lastBracket > at) return { value: text.slice(at, lastBracket + 1), end: lastBracket + 1 }
  wordHere.lastIndex = at
  const value = wordHere.exec(text)?.[0]
  return value === undefined ? null : { value, end: at + value.length }
}

const quotes = /['"]/g

function nextQuote(text: string, from: number): number {
  quotes.lastIndex = from
  return quotes.exec(text)?.index ?? -1
}
