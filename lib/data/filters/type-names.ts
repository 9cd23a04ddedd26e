import { JsonNumber, type JsonValue } from '../../text/json.js'

/**
 * Types as tool lists write them: JSON Schema's names, Python's (`str`, `Dict[str, int]`, `Optional[float]`, `List[Union[int, str]]`), with
 * remarks (`int, optional`), Java's (`ArrayList`). A name that nobody knows is a type that everything has.
 */
export type Type =
  | { kind: 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'null' | 'any' }
  | { kind: 'array'; items: Type }
  | { kind: 'union'; of: Type[] }

const names: Record<string, readonly string[]> = {
  string: ['string', 'str', 'text', 'char'],
  integer: ['integer', 'int', 'long', 'short', 'byte', 'biginteger'],
  number: ['number', 'float', 'double', 'decimal', 'num', 'bigdecimal'],
  boolean: ['boolean', 'bool'],
  array: ['array', 'list', 'tuple', 'set', 'arraylist', 'sequence', 'iterable', 'vector', 'queue', 'stack'],
  object: ['object', 'dict', 'map', 'hashmap', 'hashtable', 'mapping', 'json'],
  null: ['null', 'none', 'nonetype'],
}
const kinds = new Map(Object.entries(names).flatMap(([kind, list]) => list.map((name) => [name, kind] as const)))
const any: Type = { kind: 'any' }

/** Longer texts are no type. */
const longest = 200

/** Never fails: what it does not understand is `any`. */
export function parseType(text: string): Type {
  if (text.length > longest) return any
  const plain = text.toLowerCase().replace(/\s+/g, '')
  const optional = /[,(]optional\)?$/.test(plain)
  const type = parseExpression(plain.replace(/[,(]optional\)?$/, ''))
  return optional ? { kind: 'union', of: [type, { kind: 'null' }] } : type
}

function parseExpression(text: string): Type {
  const alternatives = splitTop(text, '|')
  if (alternatives.length > 1) return { kind: 'union', of: alternatives.map(parseExpression) }
  const [, name = text, inner] = /^([^[<]*)[[<](.*)[\]>]$/.exec(text) ?? []
  const parts = inner === undefined ? [] : splitTop(inner, ',')
  if (name === 'optional') return { kind: 'union', of: [...parts.map(parseExpression), { kind: 'null' }] }
  if (name === 'union') return { kind: 'union', of: parts.map(parseExpression) }
  const kind = kinds.get(name.replace(/^typing\./, ''))
  if (kind === undefined) return any
  if (kind !== 'array') return { kind: kind as Exclude<Type['kind'], 'array' | 'union'> }
  // A tuple's parts have places of their own; they are not checked.
  return { kind: 'array', items: parts.length === 1 ? parseExpression(parts[0] as string) : any }
}

/** Splits at a separator that is in no bracket. */
function splitTop(text: string, separator: string): string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i)
    if (c === '[' || c === '<') depth++
    else if (c === ']' || c === '>') depth--
    else if (c === separator && depth === 0) {
      parts.push(text.slice(from, i))
      from = i + 1
    }
  }
  parts.push(text.slice(from))
  return parts
}

/** 2.0 is an integer, as in JSON Schema. */
export function hasType(value: JsonValue, type: Type): boolean {
  switch (type.kind) {
    case 'any':
      return true
    case 'union':
      return type.of.some((one) => hasType(value, one))
    case 'null':
      return value === null
    case 'string':
      return typeof value === 'string'
    case 'boolean':
      return typeof value === 'boolean'
    case 'number':
      return value instanceof JsonNumber
    case 'integer':
      return value instanceof JsonNumber && (value.isInteger || Number.isInteger(value.toNumber()))
    case 'object':
      return value instanceof Map
    case 'array':
      return Array.isArray(value) && value.every((item) => hasType(item, type.items))
  }
}
