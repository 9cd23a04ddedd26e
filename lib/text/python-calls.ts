import { JsonNumber, type JsonObject, type JsonValue } from './json.js'

export interface PythonCall {
  name: string
  arguments: JsonObject
}

/**
 * Reads calls written as Python: `[f(a="x", b=[1, 2.0], c=None), ns.g()]`, spaces and line breaks free, names any text without
 * brackets, quotes and commas (real data has spaces and slashes in them). Values are Python literals; true, false and null are understood
 * too. Numbers keep their lexemes.
 *
 * Null where the text is anything else. Linear time; nesting up to 200.
 */
export function parseCallList(text: string): PythonCall[] | null {
  try {
    return new CallParser(text).list()
  } catch (error) {
    if (error === notCalls) return null
    throw error
  }
}

const notCalls = new Error('not a list of calls')
const deepest = 200

const keywords: Record<string, JsonValue> = {
  True: true,
  False: false,
  None: null,
  true: true,
  false: false,
  null: null,
}
const escapes: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\x07',
  '0': '\0',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
}

class CallParser {
  private at = 0

  constructor(private readonly text: string) {}

  list(): PythonCall[] {
    const calls: PythonCall[] = []
    this.expect('[')
    if (!this.accept(']')) {
      do calls.push(this.call())
      while (this.accept(','))
      this.expect(']')
    }
    this.space()
    if (this.at < this.text.length) throw notCalls
    return calls
  }

  private call(): PythonCall {
    const name = this.match(/[^()[\]{}'",=]+/y).trim()
    if (name === '') throw notCalls
    const args: JsonObject = new Map()
    this.expect('(')
    while (!this.accept(')')) {
      const key = this.match(/[^()[\]{}'",=]+/y).trim()
      this.expect('=')
      args.set(key, this.value(0))
      if (!this.accept(',') && this.peek() !== ')') throw notCalls
    }
    return { name, arguments: args }
  }

  private value(depth: number): JsonValue {
    if (depth > deepest) throw notCalls
    const c = this.peek()
    if (c === '[' || c === '(') return this.items(c === '[' ? ']' : ')', depth)
    if (c === '{') return this.dict(depth)
    if (c === '"' || c === "'") return this.string(c)
    const word = this.match(/[-+.\w]+/y)
    if (Object.hasOwn(keywords, word)) return keywords[word] as JsonValue
    return new JsonNumber(pythonNumber(word))
  }

  private items(end: string, depth: number): JsonValue[] {
    this.at++
    const items: JsonValue[] = []
    while (!this.accept(end)) {
      items.push(this.value(depth + 1))
      if (!this.accept(',') && this.peek() !== end) throw notCalls
    }
    return items
  }

  private dict(depth: number): JsonObject {
    this.at++
    const object: JsonObject = new Map()
    while (!this.accept('}')) {
      const key = this.value(depth + 1)
      if (typeof key !== 'string') throw notCalls
      this.expect(':')
      object.set(key, this.value(depth + 1))
      if (!this.accept(',') && this.peek() !== '}') throw notCalls
    }
    return object
  }

  private string(quote: string): string {
    const parts: string[] = []
    let from = ++this.at
    for (;;) {
      const c = this.text.charAt(this.at)
      if (c === '') throw notCalls
      if (c === quote) {
        parts.push(this.text.slice(from, this.at++))
        return parts.join('')
      }
      if (c === '\\') {
        parts.push(this.text.slice(from, this.at), this.escape())
        from = this.at
      } else this.at++
    }
  }

  private escape(): string {
    const c = this.text.charAt(this.at + 1)
    const digits = { x: 2, u: 4, U: 8 }[c]
    if (digits === undefined) {
      this.at += 2
      return escapes[c] ?? `\\${c}` // Python keeps the backslash of an escape that it does not know
    }
    const hex = this.text.slice(this.at + 2, this.at + 2 + digits)
    const code = Number.parseInt(hex, 16)
    if (hex.length !== digits || !/^[0-9a-fA-F]+$/.test(hex) || code > 0x10ffff) throw notCalls
    this.at += 2 + digits
    return String.fromCodePoint(code)
  }

  private peek(): string {
    this.space()
    return this.text.charAt(this.at)
  }

  private space(): void {
    while (/\s/.test(this.text.charAt(this.at))) this.at++
  }

  private accept(c: string): boolean {
    if (this.peek() !== c) return false
    this.at++
    return true
  }

  private expect(c: string): void {
    if (!this.accept(c)) throw notCalls
  }

  private match(pattern: RegExp): string {
    this.space()
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found === undefined) throw notCalls
    this.at += found.length
    return found
  }
}

/** A Python number as a JSON lexeme: +5, 1_000, .5 and 5. are spelled as JSON does. */
function pythonNumber(word: string): string {
  const parts = /^([+-]?)(\d[\d_]*)?(\.[\d_]*)?([eE][+-]?\d+)?$/.exec(word)
  const [, sign = '', whole = '', fraction = '', exponent = ''] = parts ?? []
  if (parts === null || (whole === '' && fraction.length < 2)) throw notCalls
  const digits = whole.replaceAll('_', '').replace(/^0+(?=\d)/, '') || '0'
  const tail = fraction === '' ? '' : `.${fraction.slice(1).replaceAll('_', '') || '0'}`
  return `${sign === '-' ? '-' : ''}${digits}${tail}${exponent}`
}
