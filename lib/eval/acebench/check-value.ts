// ACEBench's rules for one argument. They began as BFCL's and went their own way (texts may stand anywhere in the given one, objects need
// only hold the right values' spelling), so the two share no code here: each follows its own official source.

import { pyRepr } from '../../text/python/repr.js'
import { type PyDict, type PyValue, pyEqual, pyType } from '../../text/python/value.js'
import type { ParameterSchema, Verdict } from './types.js'

/** Where the official code raises an exception; such an answer counts as wrong. */
export class CheckerException extends Error {}

export const passed: Verdict = { valid: true, errorType: null, error: '' }
export const failed = (errorType: string, error: string): Verdict => ({ valid: false, errorType, error })

/** Python types of the schema's; `number` is an int there, and what no value has the type of is null. */
const pythonTypes: Readonly<Record<string, string | null>> = {
  string: 'str',
  integer: 'int',
  float: 'float',
  boolean: 'bool',
  array: 'list',
  tuple: 'list',
  dict: 'dict',
  any: 'str',
  list: 'list',
  object: 'dict',
  objectArray: 'list',
  'list(string)': 'list',
  'list(enum)': 'list',
  int: 'int',
  enum: null,
  number: 'int',
}
const collections = new Set(['array', 'tuple', 'list(string)', 'list(enum)', 'object', 'objectArray'])

function pythonType(name: string | null): string | null {
  if (name === null || !Object.hasOwn(pythonTypes, name)) throw new CheckerException(`type ${name}`)
  return pythonTypes[name] as string | null
}

/** The type of a collection's items: what the schema says, else what the collection's own name suggests. */
function itemType({ type, itemType: declared }: ParameterSchema): string | null {
  if (declared !== null) return pythonType(declared)
  return type?.includes('string') ? 'str' : type?.includes('enum') ? null : 'dict'
}

/**
 * One argument against the right value. Its type first: a right value of another type than the schema's makes the argument a variable,
 * which has no further check; so do a value of the right value's type and one equal to it. Then, of text, lists and objects, the value.
 * **Numbers and booleans of the declared type always pass.**
 */
export function checkArgument(name: string, given: PyValue, right: PyValue, schema: ParameterSchema): Verdict {
  const expected = pythonType(schema.type)
  const items = collections.has(schema.type ?? '') ? itemType(schema) : undefined
  const value = schema.type === 'float' && typeof given === 'bigint' ? Number(given) : given
  const type = checkType(value, right, expected, items)
  if (type === 'wrong') {
    return failed('type_error', `${name}: expected the type ${expected ?? schema.type}, got ${pyRepr(given)}`)
  }
  if (type === 'variable') return passed
  if (expected === 'dict') return checkDict(name, value, right)
  if (expected === 'list' && items === 'dict') return checkDicts(name, value, right, schema)
  if (expected === 'str') return checkString(name, value, right)
  return expected === 'list' ? checkList(name, value, right) : passed
}

/** The texts "true" and "false" count as booleans. */
function booleanOf(value: PyValue): PyValue {
  return value === 'true' ? true : value === 'false' ? false : value
}

/** `items`: the Python type of items, undefined where the schema has none. */
function checkType(
  given: PyValue,
  right: PyValue,
  expected: string | null,
  items: string | null | undefined,
): 'right' | 'variable' | 'wrong' {
  const value = booleanOf(given)
  const rightType = right === '' ? null : pyType(right)
  const matched = rightType !== null && rightType !== expected ? 'variable' : 'right'
  if (pyType(value) === expected) {
    if (items === undefined) return matched
    for (const one of elements(right)) {
      if (!Array.isArray(one)) return matched
      if (elements(value).every((item) => checkType(item, one, items, undefined) !== 'wrong')) return matched
    }
    return 'wrong'
  }
  return rightType !== null && (pyType(value) === rightType || pyEqual(right, value)) ? 'variable' : 'wrong'
}

/** What a Python `for` walks over: items, keys, characters. */
function elements(value: PyValue): Iterable<PyValue> & { every: PyValue[]['every'] } {
  if (Array.isArray(value)) return value
  if (typeof value === 'string') return [...value]
  if (value instanceof Map) return [...value.keys()].map((key) => (typeof key === 'string' ? key : key.value))
  throw new CheckerException(`a ${pyType(value)} is not iterable`)
}

/** Compared texts: without ` ,./-_*^`, in lower case, with one kind of quotes. */
export function standardize(text: string): string {
  return text
    .replace(/[ ,./\-_*^]/g, '')
    .toLowerCase()
    .replaceAll("'", '"')
}

const standardized = (value: PyValue): PyValue => (typeof value === 'string' ? standardize(value) : value)

function differs(errorType: string, name: string, given: PyValue, right: PyValue): Verdict {
  return failed(errorType, `${name}: expected ${pyRepr(right)}, got ${pyRepr(given)}`)
}

/** The right text may stand anywhere in the given one. */
function checkString(name: string, given: PyValue, right: PyValue): Verdict {
  if (typeof given !== 'string' || typeof right !== 'string') throw new CheckerException('a text was expected')
  return standardize(given).includes(standardize(right)) ? passed : differs('value_error:string', name, given, right)
}

function checkList(name: string, given: PyValue, right: PyValue): Verdict {
  const right_ = [...elements(right)].map(standardized)
  return pyEqual([...elements(given)].map(standardized), right_)
    ? passed
    : differs('value_error:list/tuple', name, given, right)
}

function checkDicts(name: string, given: PyValue, right: PyValue, { type }: ParameterSchema): Verdict {
  const [items, rightItems] = [[...elements(given)], [...elements(right)]]
  if (type === 'objectArray') {
    if (items.length !== rightItems.length) return differs('value_error:dict_items', name, given, right)
    if (items.length > 0) throw new CheckerException('objectArray')
  }
  if (items.length !== rightItems.length) return differs('value_error:list_dict_count', name, given, right)
  for (const [i, item] of items.entries()) {
    const verdict = checkDict(name, item, rightItems[i] as PyValue)
    if (!verdict.valid) return verdict
  }
  return passed
}

/** As many keys, the same keys, and each right value's `str` somewhere in the given one's: 5 passes for 15, and "5 km" too. */
function checkDict(name: string, given: PyValue, right: PyValue): Verdict {
  const wrong = () => differs('value_error', name, given, right)
  if (!(given instanceof Map)) return wrong()
  if (!(right instanceof Map)) throw new CheckerException(`a ${pyType(right)} has no keys`)
  if (given.size !== right.size) return wrong()
  for (const [key, value] of given as PyDict) {
    const expected = right.get(key)
    if (expected === undefined) return wrong()
    if (expected instanceof Map) {
      const verdict = checkDict(name, booleanOf(value), expected)
      if (!verdict.valid) return verdict
    } else if (!spell(standardized(booleanOf(value))).includes(spell(standardized(expected)))) return wrong()
  }
  return passed
}

/** Python's `str`. */
const spell = (value: PyValue) => (typeof value === 'string' ? value : pyRepr(value))
