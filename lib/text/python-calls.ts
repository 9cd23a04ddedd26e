import { JsonNumber, type JsonObject, type JsonValue } from './json.js'

export interface PythonCall {
  name: string
  arguments: JsonObject
}

export interface CallListOptions {
  /** Names that may be called although they hold brackets, quotes, commas or "=", such as "Search (v2)". */
  names?: Iterable<string>
  /** A value that is no literal is the text as it stands: `f(day=2024-01-05, city=Paris)`. Default false. */
  bareWords?: boolean
}

/**
 * Reads calls written as Python: `[f(a="x", b=[1, 2.0], c=None), ns.g()]`, spaces and line breaks free, names any text without
 * brackets, quotes and commas (real data has spaces and slashes in them). Values are Python literals (neighbouring strings are one); true,
 * false and null are understood too. Numbers keep their lexemes.
 *
 * Null where the text is anything else. Linear time; nesting up to 200.
 */
export function parseCallList(text: string, options: CallListOptions = {}): PythonCall[] | null {
  try {
    return new CallParser(text, options).list()
  } catch (error) {
    if (error === notCalls) return null
    throw error
  }
}

const plainName = /^[^()[\]{}'",=]+$/

/** The longest of some names that a text has at a place, in time of its length. */
class NameTree {
  private readonly root: NameNode = { next: new Map() }

  constructor(names: Iterable<string>) {
    for (const name of names) {
      let node = this.root
      for (let i = 0; i < name.length; i++) {
        const next: NameNode = node.next.get(name.charCodeAt(i)) ?? { next: new Map() }
        node.next.set(name.charCodeAt(i), next)
        node = next
      }
      node.name = name
    }
  }

  at(text: string, from: number): string | undefined {
    let node: NameNode | undefined = this.root
    let found: string | undefined
    for (let i = from; node !== undefined; i++) {
      found = node.name ?? found
      node = node.next.get(text.charCodeAt(i))
    }
    return found
  }
}

interface NameNode {
  next: Map<number, NameNode>
  name?: string
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

  private readonly names: NameTree | null
  private readonly bareWords: boolean

  constructor(
    private readonly text: string,
    { names = [], bareWords = false }: CallListOptions,
  ) {
    const unusual = [...names].filter((name) => !plainName.test(name))
    this.names = unusual.length > 0 ? new NameTree(unusual) : null
    this.bareWords = bareWords
  }

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
    const name = this.name()
    const args: JsonObject = new Map()
    this.expect('(')
    while (!this.accept(')')) {
      const key = this.match(/[^()[\]{}'",=][^(){}'",=]*/y).trim()
      this.expect('=')
      args.set(key, this.value(0))
      if (!this.accept(',') && this.peek() !== ')') throw notCalls
    }
    return { name, arguments: args }
  }

  private name(): string {
    this.space()
    const unusual = this.names?.at(this.text, this.at)
    const start = this.at
    if (unusual !== undefined) {
      this.at += unusual.length
      if (this.peek() === '(') return unusual
      this.at = start
    }
    const name = this.match(/[^()[\]{}'",=]+/y).trim()
    if (name === '') throw notCalls
    return name
  }

  private value(depth: number): JsonValue {
    if (depth > deepest) throw notCalls
    const c = this.peek()
    if (c === '[' || c === '(') return this.items(c === '[' ? ']' : ')', depth)
    if (c === '{') return this.dict(depth)
    if (c === '"' || c === "'") return this.strings(c)
    const word = this.match(this.bareWords ? /[^()[\]{}'",=]+/y : /[-+.\w]+/y).trim()
    if (Object.hasOwn(keywords, word)) return keywords[word] as JsonValue
    const number = pythonNumber(word)
    if (number !== null) return new JsonNumber(number)
    if (this.bareWords && word !== '') return word
    throw notCalls
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

  private strings(quote: string): string {
    const parts: string[] = []
    let next = quote
    do {
      parts.push(this.string(next))
      next = this.peek()
    } while (next === '"' || next === "'")
    return parts.length === 1 ? (parts[0] as string) : parts.join('')
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

/**
 * A Python number as a JSON lexeme, null where it is none: +5, 1_000, .5 and 5. are spelled as JSON does. Python has no integers that
 * begin with a zero (02139 is a postcode).
 */
function pythonNumber(word: string): string | null {
  const parts = /^([+-]?)(\d[\d_]*)?(\.[\d_]*)?([eE][+-]?\d+)?$/.exec(word)
  const [, sign = '', whole = '', fraction = '', exponent = ''] = parts ?? []
  if (parts === null || (whole === '' && fraction.length < 2)) return null
  if (fraction === '' && exponent === '' && /^0[\d_]*[1-9]/.test(whole)) return null
  const digits = whole.replaceAll('_', '').replace(/^0+(?=\d)/, '') || '0'
  const tail = fraction === '' ? '' : `.${fraction.slice(1).replaceAll('_', '') || '0'}`
  return `${sign === '-' ? '-' : ''}${digits}${tail}${exponent}`
}
