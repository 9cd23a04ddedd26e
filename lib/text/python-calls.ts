import { JsonNumber, type JsonObject, type JsonValue } from './json.js'

export interface PythonCall {
  name: string
  arguments: JsonObject
}

export interface CallListOptions {
  /** Names that may be called although they hold brackets, quotes, commas or "=", such as "Search (v2)"; up to 128 characters. */
  names?: Iterable<string>
  /** A value that is no literal is the text as it stands: `f(day=2024-01-05, city=Paris)`. Default false. */
  bareWords?: boolean
}

/** Reads any number of texts with the same options. */
export class CallListReader {
  private readonly plain: ReadonlySet<string>
  private readonly unusual: LongestName | null
  private readonly bareWords: boolean

  constructor({ names = [], bareWords = false }: CallListOptions = {}) {
    const all = [...names]
    const unusual = all.filter((name) => !plainName.test(name) && name.length <= longestUnusual)
    this.plain = new Set(all.map((name) => name.trim()))
    this.unusual = unusual.length > 0 ? new LongestName(unusual) : null
    this.bareWords = bareWords
  }

  /**
   * Reads calls written as Python: `[f(a="x", b=[1, 2.0], c=None), ns.g()]`, spaces and line breaks free, names any text without
   * brackets, quotes and commas (real data has spaces and slashes in them). Values are Python literals (neighbouring strings are one);
   * true, false and null are understood too. Numbers keep their lexemes.
   *
   * Null where the text is anything else. Linear time; nesting up to 200.
   */
  read(text: string): PythonCall[] | null {
    try {
      return new CallParser(text, this.unusual, this.bareWords).list()
    } catch (error) {
      if (error === notCalls) return null
      throw error
    }
  }

  /** True where a text that need not be a list of calls has `[name(` in it, with one of the names. Linear time. */
  mentions(text: string): boolean {
    for (const [, name = ''] of text.matchAll(/\[([^()[\]{}'",=]+)\(/g)) if (this.plain.has(name.trim())) return true
    if (this.unusual === null) return false
    for (let at = text.indexOf('['); at >= 0; at = text.indexOf('[', at + 1)) {
      let from = at + 1
      while (isSpace(text.charAt(from))) from++
      const name = this.unusual.at(text, from)
      if (name !== undefined && text.charAt(from + name.length) === '(') return true
    }
    return false
  }
}

const isSpace = (c: string) => (c <= ' ' || c > '~') && /\s/.test(c)

/** Unusual names that are longer are not looked for: at each call the text is compared with them. */
const longestUnusual = 128

const plainName = /^[^()[\]{}'",=]+$/

/** The longest of some names that a text has at a place. The names are sorted: a name's own beginnings stand before it. */
class LongestName {
  private readonly names: readonly string[]
  /** Of each name, the longest other one that it begins with; -1 where there is none. */
  private readonly beginnings: readonly number[]
  private readonly longest: number

  constructor(names: readonly string[]) {
    this.names = [...new Set(names)].sort()
    this.longest = Math.max(...[0, ...new Set(names.map((name) => name.length))])
    const beginnings: number[] = []
    for (const [i, name] of this.names.entries()) beginnings.push(this.beginningOf(name, i - 1, beginnings))
    this.beginnings = beginnings
  }

  at(text: string, from: number): string | undefined {
    const start = text.slice(from, from + this.longest)
    // The last name that does not come after the text: what the text begins with is this name or one of its beginnings.
    let [low, high] = [0, this.names.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.names[middle] as string) <= start) low = middle + 1
      else high = middle
    }
    return this.names[this.beginningOf(start, low - 1, this.beginnings)]
  }

  /** Of the name at `index` and its beginnings, the longest that the text begins with; -1 where none is. */
  private beginningOf(text: string, index: number, beginnings: readonly number[]): number {
    let at = index
    while (at >= 0 && !text.startsWith(this.names[at] as string)) at = beginnings[at] as number
    return at
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

  constructor(
    private readonly text: string,
    private readonly names: LongestName | null,
    private readonly bareWords: boolean,
  ) {}

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
    while (isSpace(this.text.charAt(this.at))) this.at++
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
