import { codedError } from '../errors.js'
import { JsonNumber, type JsonObject, type JsonValue, maxJsonDepth } from './json.js'

export interface PrintOptions {
  /** Keys in order of code points, as `sort_keys=True`. */
  sortKeys?: boolean
  /** Everything outside printable ASCII as \uXXXX, as `ensure_ascii=True`. Default true. */
  ensureAscii?: boolean
}

/**
 * The text that CPython's `json.dumps(json.loads(text))` gives, byte for byte: `", "` and `": "` between items, floats in `repr` form.
 * Two values are the same call arguments exactly when `printJson(v, { sortKeys: true })` is the same text.
 */
export function printJson(value: JsonValue, options: PrintOptions = {}): string {
  const out: string[] = []
  print(value, { sortKeys: options.sortKeys ?? false, ensureAscii: options.ensureAscii ?? true }, out)
  return out.join('')
}

function print(value: JsonValue, options: Required<PrintOptions>, out: string[]): void {
  if (typeof value === 'string') out.push(quote(value, options.ensureAscii))
  else if (value instanceof JsonNumber) out.push(numberText(value))
  else if (Array.isArray(value)) printList('[', ']', value, (item) => print(item, options, out), out)
  else if (value instanceof Map) {
    const entries = [...value]
    if (options.sortKeys) entries.sort(([a], [b]) => compareCodePoints(a, b))
    const pair = ([key, item]: [string, JsonValue]) => {
      out.push(quote(key, options.ensureAscii), ': ')
      print(item, options, out)
    }
    printList('{', '}', entries, pair, out)
  } else out.push(String(value))
}

function printList<T>(open: string, close: string, items: T[], item: (value: T) => void, out: string[]): void {
  out.push(open)
  items.forEach((value, i) => {
    if (i > 0) out.push(', ')
    item(value)
  })
  out.push(close)
}

/** A number as Python prints it after reading it: 1.50 is 1.5, 1e2 is 100.0, -0 is 0, 1e999 is Infinity. */
export function numberText(number: JsonNumber): string {
  const { lexeme } = number
  if (number.isInteger) return lexeme === '-0' ? '0' : lexeme
  return floatText(Number(lexeme))
}

/** `float.__repr__`: the shortest digits that read back, an exponent below 1e-4 and from 1e16 on. JS finds the same digits. */
export function floatText(x: number): string {
  if (!Number.isFinite(x)) return String(x)
  if (x === 0) return Object.is(x, -0) ? '-0.0' : '0.0'
  const [mantissa, exponent] = Math.abs(x).toExponential().split('e') as [string, string]
  const e = Number(exponent)
  const sign = x < 0 ? '-' : ''
  if (e < -4 || e >= 16) return `${sign}${mantissa}e${e < 0 ? '-' : '+'}${String(Math.abs(e)).padStart(2, '0')}`
  const digits = mantissa.replace('.', '')
  if (e < 0) return `${sign}0.${'0'.repeat(-e - 1)}${digits}`
  const whole = digits.slice(0, e + 1).padEnd(e + 1, '0')
  return `${sign}${whole}.${digits.slice(e + 1) || '0'}`
}

const shortEscapes: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

function quote(text: string, ensureAscii: boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes exactly these
  const needed = ensureAscii ? /["\\]|[^ -~]/g : /["\\\u0000-\u001f]/g
  const escaped = text.replace(needed, (c) => shortEscapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `"${escaped}"`
}

/** Python orders strings by code point, JavaScript by UTF-16 unit; they differ where a surrogate meets U+E000 to U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const bothHigh = x >= 0xd800 && y >= 0xd800
    const rank = (unit: number) => (unit >= 0xe000 ? unit - 0x800 : unit + 0x2000)
    return bothHigh ? rank(x) - rank(y) : x - y
  }
  return a.length - b.length
}

/**
 * A plain JavaScript value as JSON value: an integral number becomes an integer (JavaScript cannot tell 1 from 1.0; where that matters
 * write JSON text). JsonNumber and Map pass through, `undefined` properties are left out as by JSON.stringify.
 *
 * Throws a TypeError (`ERR_JSON`) for functions, symbols, and anything nested deeper than the parser would read (so also for cycles).
 */
export function fromPlain(value: unknown, depth = 0): JsonValue {
  if (depth > maxJsonDepth) throw codedError('TypeError', 'ERR_JSON', `[json] expected at most ${maxJsonDepth} levels`)
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (value instanceof JsonNumber) return value
  if (typeof value === 'bigint') return new JsonNumber(String(value))
  if (typeof value === 'number') return new JsonNumber(Number.isSafeInteger(value) ? String(value) : floatText(value))
  if (Array.isArray(value)) return value.map((item) => fromPlain(item, depth + 1))
  if (typeof value === 'object') {
    const entries: Iterable<[string, unknown]> = value instanceof Map ? value : Object.entries(value)
    const object: JsonObject = new Map()
    for (const [key, item] of entries) if (item !== undefined) object.set(key, fromPlain(item, depth + 1))
    return object
  }
  throw codedError('TypeError', 'ERR_JSON', `[json] expected a JSON value, got ${typeof value}`)
}

/** A JSON value as plain JavaScript objects (numbers become doubles); a key `__proto__` becomes an own property, nothing more. */
export function toPlain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return value.toNumber()
  if (Array.isArray(value)) return value.map(toPlain)
  if (!(value instanceof Map)) return value
  const object: Record<string, unknown> = {}
  for (const [key, item] of value) {
    if (key === '__proto__') {
      Object.defineProperty(object, key, { value: toPlain(item), enumerable: true, configurable: true, writable: true })
    } else object[key] = toPlain(item)
  }
  return object
}
