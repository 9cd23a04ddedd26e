import { JsonNumber, type JsonValue } from '../json.js'

/**
 * Python values, one JavaScript type for each Python type that literals can have, so that `typeof` tells them apart: `int` is a bigint,
 * `float` a number, `str` a string, `bool` a boolean, `None` null, `list` an array. JSON gives these and no others.
 */
export type PyValue = null | boolean | bigint | number | string | PyValue[] | PyTuple | PyDict | PyOpaque

/** A dict in insertion order. Keys other than strings are {@link PyKey}s, one object for each key that Python would call equal. */
export type PyDict = Map<string | PyKey, PyValue>

export class PyTuple {
  constructor(readonly items: readonly PyValue[]) {}
}

/** A key of a dict that is no string: None, a number, a tuple. */
export class PyKey {
  constructor(readonly value: PyValue) {}
}

/** A value that nothing here computes with (bytes, a complex number): equal to nothing else. */
export class PyOpaque {
  constructor(
    readonly type: 'bytes' | 'complex',
    readonly repr: string,
  ) {}
}

/** The name of the type, as Python's `type(x).__name__`. */
export function pyType(value: PyValue): string {
  switch (typeof value) {
    case 'string':
      return 'str'
    case 'bigint':
      return 'int'
    case 'number':
      return 'float'
    case 'boolean':
      return 'bool'
  }
  if (value === null) return 'NoneType'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Map) return 'dict'
  return value instanceof PyTuple ? 'tuple' : value.type
}

/** Python's `==`: 1 == 1.0 == True, lists and dicts by their elements, a tuple never equals a list. */
export function pyEqual(a: PyValue, b: PyValue): boolean {
  if (a === b) return true
  const x = numeric(a)
  const y = numeric(b)
  // biome-ignore lint/suspicious/noDoubleEquals: == between bigint and number compares exactly, as Python does
  if (x !== null || y !== null) return x !== null && y !== null && x == y
  if (Array.isArray(a)) return Array.isArray(b) && sameItems(a, b)
  if (a instanceof PyTuple) return b instanceof PyTuple && sameItems(a.items, b.items)
  if (a instanceof Map && b instanceof Map) {
    if (a.size !== b.size) return false
    for (const [key, value] of a) {
      const other = b.get(key)
      if (other === undefined || !pyEqual(value, other)) return false
    }
    return true
  }
  return a instanceof PyOpaque && b instanceof PyOpaque && a.type === b.type && a.repr === b.repr
}

function numeric(value: PyValue): bigint | number | null {
  if (typeof value === 'boolean') return value ? 1 : 0
  return typeof value === 'bigint' || typeof value === 'number' ? value : null
}

function sameItems(a: readonly PyValue[], b: readonly PyValue[]): boolean {
  return a.length === b.length && a.every((item, i) => pyEqual(item, b[i] as PyValue))
}

/** `value in list`. */
export function pyIncludes(list: readonly PyValue[], value: PyValue): boolean {
  return list.some((item) => pyEqual(item, value))
}

/** What `json.loads` makes of the text that `value` was read from. */
export function fromJson(value: JsonValue): PyValue {
  if (value instanceof JsonNumber) return value.isInteger ? BigInt(value.lexeme) : Number(value.lexeme)
  if (Array.isArray(value)) return value.map(fromJson)
  if (!(value instanceof Map)) return value
  const dict: PyDict = new Map()
  for (const [key, item] of value) dict.set(key, fromJson(item))
  return dict
}
