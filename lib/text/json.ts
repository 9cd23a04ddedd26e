import { codedError } from '../errors.js'

/**
 * Lossless JSON: numbers keep the characters they were written with, so that 5, 5.0 and 5e0 stay apart and 2^60 stays itself;
 * objects are Maps, so that a key called `__proto__` is a key. The parser keeps its own stack and reads every character a bounded
 * number of times: a megabyte of `[` or of `\\` costs milliseconds and an error, never a stack overflow.
 *
 * Two dialects. `strict` is RFC 8259. `python` is what CPython's `json.loads` accepts, because the reward is defined by it: also NaN,
 * Infinity and -Infinity; integers of at most 4300 digits; nesting up to where CPython's recursion limit would raise.
 */
export type JsonValue = null | boolean | string | JsonNumber | JsonValue[] | JsonObject
export type JsonObject = Map<string, JsonValue>

/** A number as written. `-Infinity`, `Infinity` and `NaN` occur in the Python dialect only. */
export class JsonNumber {
  constructor(readonly lexeme: string) {}

  /** True where Python would make an `int` of it: no fraction, no exponent. */
  get isInteger(): boolean {
    return /^-?\d+$/.test(this.lexeme)
  }

  /** The nearest double; loses digits of integers beyond 2^53. */
  toNumber(): number {
    return Number(this.lexeme)
  }
}

export type JsonDialect = 'strict' | 'python'

/** Containers inside containers; CPython's `json.loads` raises RecursionError at about this depth (limit 1000 less its own frames). */
export const maxJsonDepth = 990
/** Digits of the longest integer that CPython converts from or to text. */
export const maxPythonDigits = 4300

/**
 * Parses one JSON text. Duplicate keys: the last value wins, at the place of the first, as in Python and in JavaScript.
 *
 * Throws an `Error` with code `ERR_JSON`, naming what was expected, line and column.
 */
export function parseJson(text: string, dialect: JsonDialect = 'strict'): JsonValue {
  return new Parser(text, dialect).run()
}

enum Char {
  Tab = 0x09,
  Newline = 0x0a,
  Return = 0x0d,
  Space = 0x20,
  Quote = 0x22,
  Plus = 0x2b,
  Comma = 0x2c,
  Minus = 0x2d,
  Dot = 0x2e,
  Zero = 0x30,
  Nine = 0x39,
  Colon = 0x3a,
  UpperE = 0x45,
  OpenBracket = 0x5b,
  Backslash = 0x5c,
  CloseBracket = 0x5d,
  LowerE = 0x65,
  LowerU = 0x75,
  OpenBrace = 0x7b,
  CloseBrace = 0x7d,
}

const simpleEscapes: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

type Frame = { kind: 'array'; value: JsonValue[] } | { kind: 'object'; value: JsonObject; key: string }

class Parser {
  private at = 0
  private readonly stack: Frame[] = []

  constructor(
    private readonly text: string,
    private readonly dialect: JsonDialect,
  ) {}

  run(): JsonValue {
    this.space()
    for (;;) {
      const opened = this.open()
      if (opened === undefined) continue // a container began and waits for its first element
      const root = this.close(opened)
      if (root === undefined) continue // a container waits for its next element
      this.space()
      if (this.at < this.text.length) this.expected('the end of the text')
      return root
    }
  }

  /** Reads a scalar or an empty container and returns it, or enters a container and returns undefined. */
  private open(): JsonValue | undefined {
    const c = this.text.charCodeAt(this.at)
    if (c === Char.OpenBracket) {
      this.enter()
      if (this.text.charCodeAt(this.at) === Char.CloseBracket) return this.leaveEmpty([])
      this.stack.push({ kind: 'array', value: [] })
      return undefined
    }
    if (c === Char.OpenBrace) {
      this.enter()
      if (this.text.charCodeAt(this.at) === Char.CloseBrace) return this.leaveEmpty(new Map())
      this.stack.push({ kind: 'object', value: new Map(), key: this.key() })
      return undefined
    }
    return c === Char.Quote ? this.string() : this.literal(c)
  }

  private enter(): void {
    if (this.stack.length >= maxJsonDepth) this.expected(`at most ${maxJsonDepth} levels of nesting`)
    this.at++
    this.space()
  }

  private leaveEmpty(value: JsonValue[] | JsonObject): JsonValue {
    this.at++
    return value
  }

  /** Puts a finished value where it belongs and closes what ends here; the root when nothing is open any more. */
  private close(finished: JsonValue): JsonValue | undefined {
    let value = finished
    for (;;) {
      const frame = this.stack[this.stack.length - 1]
      if (frame === undefined) return value
      if (frame.kind === 'array') frame.value.push(value)
      else frame.value.set(frame.key, value)
      this.space()
      const c = this.text.charCodeAt(this.at)
      if (c === Char.Comma) {
        this.at++
        this.space()
        if (frame.kind === 'object') frame.key = this.key()
        return undefined
      }
      const end = frame.kind === 'array' ? Char.CloseBracket : Char.CloseBrace
      if (c !== end) this.expected(frame.kind === 'array' ? '"," or "]"' : '"," or "}"')
      this.at++
      this.stack.pop()
      value = frame.value
    }
  }

  private key(): string {
    if (this.text.charCodeAt(this.at) !== Char.Quote) this.expected('a key in double quotes')
    const key = this.string()
    this.space()
    if (this.text.charCodeAt(this.at) !== Char.Colon) this.expected('":"')
    this.at++
    this.space()
    return key
  }

  private space(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at)
      if (c !== Char.Space && c !== Char.Newline && c !== Char.Return && c !== Char.Tab) return
      this.at++
    }
  }

  private string(): string {
    const { text } = this
    const parts: string[] = []
    let from = ++this.at
    for (;;) {
      const c = text.charCodeAt(this.at)
      if (c === Char.Quote) {
        parts.push(text.slice(from, this.at++))
        return parts.length === 1 ? (parts[0] as string) : parts.join('')
      }
      if (c === Char.Backslash) {
        const whole = parts.length === 0 ? this.escapedString(from - 1) : null
        if (whole !== null) return whole
        parts.push(text.slice(from, this.at), this.escape())
        from = this.at
      } else if (c >= Char.Space) {
        this.at++
      } else {
        this.expected(Number.isNaN(c) ? 'a closing quote' : 'no raw control character in a string')
      }
    }
  }

  /**
   * A string with escapes by the engine's own parser, which decodes JSON inside JSON several times as fast; null where something is wrong
   * with it, for {@link string} to say what.
   */
  private escapedString(start: number): string | null {
    const { text } = this
    let at = this.at
    for (let c = text.charCodeAt(at); c !== Char.Quote; c = text.charCodeAt(at)) {
      if (!(c >= Char.Space)) return null
      at += c === Char.Backslash ? 2 : 1
    }
    try {
      const value = JSON.parse(text.slice(start, at + 1)) as string
      this.at = at + 1
      return value
    } catch {
      return null
    }
  }

  private escape(): string {
    const letter = this.text.charAt(this.at + 1)
    if (letter === 'u') {
      const hex = this.text.slice(this.at + 2, this.at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) this.expected('four hexadecimal digits after \\u')
      this.at += 6
      return String.fromCharCode(Number.parseInt(hex, 16)) // a lone surrogate stays one
    }
    const plain = Object.hasOwn(simpleEscapes, letter) ? simpleEscapes[letter] : undefined
    if (plain === undefined) this.expected('a known escape after \\')
    this.at += 2
    return plain as string
  }

  private literal(c: number): JsonValue {
    if (c === Char.Minus || (c >= Char.Zero && c <= Char.Nine)) {
      return this.word('-Infinity') && this.dialect === 'python' ? this.take('-Infinity') : this.number()
    }
    if (this.word('true')) return this.skip(4, true)
    if (this.word('false')) return this.skip(5, false)
    if (this.word('null')) return this.skip(4, null)
    if (this.dialect === 'python' && this.word('NaN')) return this.take('NaN')
    if (this.dialect === 'python' && this.word('Infinity')) return this.take('Infinity')
    return this.expected('a value')
  }

  private word(word: string): boolean {
    return this.text.startsWith(word, this.at)
  }

  private take(word: string): JsonNumber {
    return this.skip(word.length, new JsonNumber(word))
  }

  private skip<T>(length: number, value: T): T {
    this.at += length
    return value
  }

  private number(): JsonNumber {
    const start = this.at
    if (this.text.charCodeAt(this.at) === Char.Minus) this.at++
    const first = this.at
    if (this.text.charCodeAt(this.at) === Char.Zero) this.at++
    else this.digits()
    const digits = this.at - first
    const whole = this.at
    this.fractionAndExponent()
    if (this.dialect === 'python' && this.at === whole && digits > maxPythonDigits) {
      this.expected(`an integer of at most ${maxPythonDigits} digits`)
    }
    return new JsonNumber(this.text.slice(start, this.at))
  }

  /** CPython ends the number before a "." or "e" that no digit follows; what is left then fails as text after a value. */
  private fractionAndExponent(): void {
    if (this.text.charCodeAt(this.at) === Char.Dot && this.digitAt(this.at + 1)) {
      this.at++
      this.digits()
    }
    const e = this.text.charCodeAt(this.at)
    if (e !== Char.LowerE && e !== Char.UpperE) return
    const sign = this.text.charCodeAt(this.at + 1)
    const skip = sign === Char.Plus || sign === Char.Minus ? 2 : 1
    if (!this.digitAt(this.at + skip)) return
    this.at += skip
    this.digits()
  }

  private digitAt(at: number): boolean {
    const c = this.text.charCodeAt(at)
    return c >= Char.Zero && c <= Char.Nine
  }

  private digits(): void {
    if (!this.digitAt(this.at)) this.expected('a digit')
    while (this.digitAt(this.at)) this.at++
  }

  private expected(what: string): never {
    const before = this.text.slice(0, this.at)
    const line = before.split('\n').length
    const column = this.at - before.lastIndexOf('\n')
    const got =
      this.at >= this.text.length ? 'the end of the text' : JSON.stringify(this.text.slice(this.at, this.at + 16))
    throw codedError('Error', 'ERR_JSON', `[json] expected ${what} at line ${line}, column ${column}, got ${got}`)
  }
}
