import { type JsonValue, parseJson } from '../../text/json.js'
import { printJson } from '../../text/json-print.js'
import { apiRules, type Comparison } from './apis.js'
import { parseOfficial } from './parse.js'
import type { ApiBankQuestion, ApiCall } from './types.js'

/** The official evaluator's names of what can be wrong. */
export type OfficialError =
  | 'NO_API_CALL'
  | 'API_NAME_MISMATCH'
  | 'INVALID_INPUT_PARAMETER'
  | 'FAILED_PARSE_API_CALL'
  | 'MISS_INPUT_ARGUMENT'
  | 'INPUT_MISMATCH'
  | 'OUTPUT_MISMATCH'

export interface OfficialVerdict {
  valid: boolean
  errorType: OfficialError | null
  error: string
}

const passed: OfficialVerdict = { valid: true, errorType: null, error: '' }
const failed = (errorType: OfficialError, error: string): OfficialVerdict => ({ valid: false, errorType, error })

/**
 * What the official evaluator says to a text: read by its patterns, executed, compared by the API's own check. There are no databases here:
 * a call that is equal to a right call, by that check, has its result. Right calls that the official code does not accept itself (its
 * services are gone, its patterns cut lists in quotes, its databases do not remember the dialogue) accept nothing.
 *
 * `tokens`: those of all users, for calls whose result does not depend on whose it is.
 */
export function officialVerdict(text: string, question: ApiBankQuestion, tokens: ReadonlySet<string>): OfficialVerdict {
  const call = parseOfficial(text)
  if (call === null) return failed('NO_API_CALL', 'there is no [Name(…)] on a line')
  const { right, apis } = question
  if (call.name !== right.name) return failed('API_NAME_MISMATCH', `expected ${right.name}, got ${call.name}`)
  const types = parameterTypes(apis.find((api) => api.get('name') === right.name))
  const rule = apiRules[right.name] ?? {}
  const bad = badArgument(call, types)
  if (bad !== null) return bad
  if (right.name === 'GetToday') return passed
  const missing = [...types.keys()].find((key) => !call.args.has(key) && !rule.optional?.includes(key))
  if (missing !== undefined) return failed('MISS_INPUT_ARGUMENT', `the argument ${missing} is missing`)
  const refusal = rule.never ?? refused(question, types)
  if (refusal !== null) return failed('OUTPUT_MISMATCH', `the official code accepts no call here: ${refusal}`)
  return compareArguments(call, right, rule.compare ?? {}, tokens)
}

function parameterTypes(api: ReadonlyMap<string, JsonValue> | undefined): Map<string, string> {
  const parameters = api?.get('input_parameters')
  if (!(parameters instanceof Map)) return new Map()
  return new Map(
    [...parameters].map(([name, schema]) => {
      const type = schema instanceof Map ? schema.get('type') : undefined
      return [name, typeof type === 'string' ? type : 'str']
    }),
  )
}

/** Names and types that the executor refuses before it calls. */
function badArgument(call: ApiCall, types: ReadonlyMap<string, string>): OfficialVerdict | null {
  for (const [key, value] of call.args) {
    const type = types.get(key)
    if (type === undefined) return failed('INVALID_INPUT_PARAMETER', `there is no argument ${key}`)
    if (type === 'int' && !/^\p{Nd}+$/u.test(value)) {
      return failed('INVALID_INPUT_PARAMETER', `${key} is no integer: ${JSON.stringify(value)}`)
    }
    if (type.startsWith('list') && readList(value) === null) {
      return failed('FAILED_PARSE_API_CALL', `${key} is no list: ${JSON.stringify(value)}`)
    }
  }
  return null
}

function readList(value: string): JsonValue | null {
  try {
    return parseJson(value.replaceAll("'", '"'), 'python')
  } catch {
    return null
  }
}

/** Why the official code accepts no call, or null. */
function refused(
  { right, expected, officialAccepts }: ApiBankQuestion,
  types: ReadonlyMap<string, string>,
): string | null {
  const renamed = [...right.args.keys()].find((key) => !types.has(key))
  if (renamed !== undefined) return `the right call has an argument ${renamed}, which the API has no more`
  if (officialAccepts !== false) return null
  // Where the pattern cuts the right call itself, another spelling of it may pass.
  const read = parseOfficial(expected)
  const cut = read === null || [...right.args].some(([key, value]) => read.args.get(key) !== value)
  return cut ? null : 'its databases do not know what was done before in the dialogue'
}

function compareArguments(
  call: ApiCall,
  right: ApiCall,
  compare: Readonly<Record<string, Comparison>>,
  tokens: ReadonlySet<string>,
): OfficialVerdict {
  for (const key of new Set([...right.args.keys(), ...call.args.keys()])) {
    const given = call.args.get(key)
    const expected = right.args.get(key)
    const how = Object.hasOwn(compare, key) ? (compare[key] as Comparison) : 'exact'
    const same = given !== undefined && expected !== undefined && isSame(how, given, expected, tokens)
    if (same || how === 'any') continue
    return failed('INPUT_MISMATCH', `${key}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(given)}`)
  }
  return passed
}

function isSame(how: Comparison, given: string, expected: string, tokens: ReadonlySet<string>): boolean {
  switch (how) {
    case 'exact':
      return given === expected || (expected.startsWith('[') && sameLists(given, expected, false))
    case 'trim':
      return given.trim() === expected.trim()
    case 'lower':
      return given.trim().toLowerCase() === expected.trim().toLowerCase()
    case 'upper':
      return given.trim().toUpperCase() === expected.trim().toUpperCase()
    case 'overlap':
      return given.trim() !== '' && overlap(given, expected) > 0.5
    case 'overlap-lower':
      return given.trim() !== '' && overlap(given.toLowerCase(), expected.toLowerCase()) > 0.5
    case 'filled':
      return given.trim() !== ''
    case 'any':
      return true
    case 'token':
      return given === expected || tokens.has(given)
    case 'date':
      return sameOrNothing(dateOf(given), dateOf(expected))
    case 'time':
      return sameOrNothing(timeOf(given), timeOf(expected))
    case 'day':
      return sameOrNothing(dayOf(given), dayOf(expected))
    case 'formula':
      return given.replaceAll(' ', '') === expected.replaceAll(' ', '')
    case 'address':
      return given.trim() === expected.trim().toLowerCase()
    case 'title':
      return titleOf(given) === titleOf(expected)
    case 'records':
      return sameLists(given, expected, true)
  }
}

const sameOrNothing = (a: string | null, b: string | null) => a !== null && a === b
const titleOf = (text: string) => text.replaceAll('_', ' ').trim().toLowerCase()

/** The share of the words of both texts that both have. */
function overlap(a: string, b: string): number {
  const words = new Set(a.split(' '))
  const others = new Set(b.split(' '))
  const shared = [...words].filter((word) => others.has(word)).length
  return shared / (words.size + others.size - shared)
}

/** Lists by content; as sets of items where the order is free. */
function sameLists(given: string, expected: string, anyOrder: boolean): boolean {
  const [a, b] = [readList(given), readList(expected)]
  if (!Array.isArray(a) || !Array.isArray(b)) return false
  const texts = (list: JsonValue[]) => {
    const items = list.map((item) => printJson(item, { sortKeys: true }))
    return (anyOrder ? items.sort() : items).join('\n')
  }
  return texts(a) === texts(b)
}

/** A date as `%Y-%m-%d` reads it, the year filled up with zeros; null where it is none. */
function dateOf(text: string): string | null {
  const parts = /^(\d{1,4})-(\d{1,2})-(\d{1,2})$/.exec(text.trim())
  return parts === null ? null : validDate(Number(parts[1]), Number(parts[2]), Number(parts[3]))
}

function timeOf(text: string): string | null {
  const parts = /^(\S+)\s+(\d{1,2}):(\d{1,2}):(\d{1,2})$/.exec(text.trim())
  const date = parts === null ? null : dateOf(parts[1] as string)
  if (parts === null || date === null) return null
  const [hours, minutes, seconds] = parts.slice(2).map(Number) as [number, number, number]
  return hours < 24 && minutes < 60 && seconds < 62 ? `${date} ${hours}:${minutes}:${seconds}` : null
}

function dayOf(text: string): string | null {
  const whole = dateOf(text)
  if (whole !== null) return whole.slice(whole.indexOf('-') + 1)
  const parts = /^(\d{1,2})-(\d{1,2})$/.exec(text.trim())
  const day = parts === null ? null : validDate(1900, Number(parts[1]), Number(parts[2])) // strptime's year
  return day === null ? null : day.slice(day.indexOf('-') + 1)
}

function validDate(year: number, month: number, day: number): string | null {
  const date = new Date(Date.UTC(2000, 0, 1))
  date.setUTCFullYear(year, month - 1, day)
  const same = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return year >= 1 && same ? `${year}-${month}-${day}` : null
}
