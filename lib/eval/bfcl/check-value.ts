// The value rules of BFCL's AST checker: given that the type is right, is the value one of the alternatives?

import { pyRepr } from '../../text/python/repr.js'
import { type PyDict, PyTuple, type PyValue, pyEqual, pyIncludes } from '../../text/python/value.js'
import { OfficialError } from './official-error.js'

/** What a rule found wrong; null where the value is right. */
export interface Failure {
  errorType: string
  error: string
}

const ignored = /[ ,./\-_*^]/g

/** Strings are compared without space and some punctuation, in lower case, with one kind of quotes. */
export function standardize(text: string): string {
  return text.replace(ignored, '').toLowerCase().replaceAll("'", '"')
}

const standardized = (value: PyValue): PyValue => (typeof value === 'string' ? standardize(value) : value)

function wrongValue(name: string, value: PyValue, alternatives: readonly PyValue[], errorType: string): Failure {
  return {
    errorType,
    error: `Invalid value for parameter ${pyRepr(name)}: ${pyRepr(value)}. Expected one of ${pyRepr([...alternatives])}.`,
  }
}

export function checkString(name: string, value: string, alternatives: readonly PyValue[]): Failure | null {
  const wanted = standardize(value)
  if (alternatives.some((item) => typeof item === 'string' && standardize(item) === wanted)) return null
  return wrongValue(name, value, alternatives, 'value_error:string')
}

/** Whole lists are compared, in order; strings at their top level standardized. */
export function checkList(name: string, value: readonly PyValue[], alternatives: readonly PyValue[]): Failure | null {
  const given = value.map(standardized)
  for (const alternative of alternatives) {
    if (pyEqual(given, elements(alternative).map(standardized))) return null
  }
  return wrongValue(name, [...value], alternatives, 'value_error:list/tuple')
}

/** What Python's `x[i] for i in range(len(x))` walks over. */
function elements(value: PyValue): readonly PyValue[] {
  if (Array.isArray(value)) return value
  if (value instanceof PyTuple) return value.items
  if (typeof value === 'string') return [...value]
  if (value instanceof Map && value.size === 0) return []
  throw new OfficialError(`${pyRepr(value)} is no list of values`)
}

/** Keys must be known, values among their alternatives, keys that are absent optional. The last alternative's failure is reported. */
export function checkDict(value: PyValue, alternatives: readonly PyValue[]): Failure | null {
  let failure: Failure = { errorType: 'dict_checker:unclear', error: '' }
  for (const alternative of alternatives) {
    if (alternative === '') continue
    const found = compareDict(value, alternative)
    if (found === null) return null
    failure = found
  }
  return failure
}

function compareDict(value: PyValue, alternative: PyValue): Failure | null {
  if (!(value instanceof Map)) throw new OfficialError(`${pyRepr(value)} is no dict`)
  if (!(alternative instanceof Map)) throw new OfficialError(`the alternative ${pyRepr(alternative)} is no dict`)
  const wrong = wrongEntry(value, alternative)
  for (const [key, allowed] of alternative) {
    if (value.has(key) || (typeof allowed === 'string' ? true : pyIncludes(elements(allowed), ''))) continue
    return { errorType: 'value_error:dict_key', error: `Missing dict key parameter: '${String(key)}'.` }
  }
  return wrong
}

function wrongEntry(value: PyDict, alternative: PyDict): Failure | null {
  for (const [key, item] of value) {
    const allowed = alternative.get(key)
    if (allowed === undefined) {
      return { errorType: 'value_error:dict_key', error: `Unexpected dict key parameter: '${String(key)}'.` }
    }
    const choices = elements(allowed).map(standardized)
    if (!pyIncludes(choices, standardized(item)))
      return wrongValue(String(key), item, choices, 'value_error:dict_value')
  }
  return null
}

/** As many dicts as in the alternative, each right, in order. */
export function checkListOfDicts(value: readonly PyValue[], alternatives: readonly PyValue[]): Failure | null {
  let failure: Failure = { errorType: 'list_dict_checker:unclear', error: '' }
  for (const alternative of alternatives) {
    const dicts = elements(alternative)
    if (dicts.length !== value.length) {
      failure = { errorType: 'value_error:list_dict_count', error: 'Wrong number of dictionaries in the list.' }
      continue
    }
    const wrong = firstFailure(value, (item, i) => checkDict(item, [dicts[i] as PyValue]))
    if (wrong === null) return null
    failure = wrong
  }
  return failure
}

function firstFailure<T>(items: readonly T[], check: (item: T, i: number) => Failure | null): Failure | null {
  for (const [i, item] of items.entries()) {
    const failure = check(item, i)
    if (failure) return failure
  }
  return null
}
