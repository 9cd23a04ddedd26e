import type { JsonValue } from '../text/json.js'
import { printJson } from '../text/json-print.js'
import type { ParsedCall } from './parse.js'

const longest = 80

/**
 * The first thing that tells two lists of calls apart, in words: `f: argument a is 1.0, expected 1`. Calls that are equal cancel out;
 * what is left is compared with the first expected call of the same name that is left. Linear in the size of both lists.
 */
export function firstDifference(
  given: readonly ParsedCall[],
  expected: readonly ParsedCall[],
  sameNames: boolean,
): string {
  const byKey = (call: ParsedCall) => printJson([call.name, call.arguments], { sortKeys: true })
  const left = subtract(given, expected, sameNames ? byKey : nameOf)
  const wanted = subtract(expected, given, sameNames ? byKey : nameOf)
  const call = left[0]
  if (!sameNames || call === undefined) {
    if (call === undefined) return `a call of ${shown(wanted[0]?.name ?? null)} is missing`
    if (wanted[0] === undefined) return `a call of ${shown(call.name)} too many`
    return `a call of ${shown(call.name)}, expected ${shown(wanted[0].name)}`
  }
  const partner = wanted.find((other) => nameOf(other) === nameOf(call))
  if (partner === undefined) return `a call of ${shown(call.name)} is not expected`
  return `${shown(call.name)}: ${valueDifference(call.arguments, partner.arguments, [])}`
}

function nameOf(call: ParsedCall): string {
  return printJson(call.name, { sortKeys: true })
}

function subtract(
  from: readonly ParsedCall[],
  what: readonly ParsedCall[],
  key: (call: ParsedCall) => string,
): ParsedCall[] {
  const counts = new Map<string, number>()
  for (const call of what) counts.set(key(call), (counts.get(key(call)) ?? 0) + 1)
  return from.filter((call) => {
    const left = counts.get(key(call)) ?? 0
    counts.set(key(call), left - 1)
    return left <= 0
  })
}

function valueDifference(given: JsonValue, expected: JsonValue, path: string[]): string {
  const where = path.length === 0 ? 'arguments' : `argument ${path.join('')}`
  if (given instanceof Map && expected instanceof Map) {
    for (const [key, value] of expected) {
      const here = [...path, path.length === 0 ? key : `.${key}`]
      const other = given.get(key)
      if (other === undefined) return `argument ${here.join('')} is missing`
      if (differ(other, value)) return valueDifference(other, value, here)
    }
    for (const key of given.keys()) {
      if (!expected.has(key))
        return `argument ${[...path, path.length === 0 ? key : `.${key}`].join('')} is not expected`
    }
  }
  if (Array.isArray(given) && Array.isArray(expected) && given.length === expected.length) {
    for (const [i, value] of expected.entries()) {
      const other = given[i] as JsonValue
      if (differ(other, value)) return valueDifference(other, value, [...path, `[${i}]`])
    }
  }
  return `${where} is ${printed(given)}, expected ${printed(expected)}`
}

function differ(a: JsonValue, b: JsonValue): boolean {
  return printJson(a, { sortKeys: true }) !== printJson(b, { sortKeys: true })
}

function shown(name: JsonValue): string {
  return typeof name === 'string' ? name.slice(0, longest) : printed(name)
}

function printed(value: JsonValue): string {
  const text = printJson(value, { ensureAscii: false })
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}
