import { PyBytes, PyComplex } from './constants.js'
import { namedCharacter } from './names.js'
import { refuse } from './raise.js'
import type { PyValue } from './value.js'

export interface Token {
  /** `op` includes keywords, so that a parser compares texts alone; `name` never is a keyword. */
  kind: 'name' | 'number' | 'string' | 'fstring' | 'op' | 'newline' | 'end'
  text: string
  value?: PyValue
}

const keywords = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from global if ' +
    'import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' '),
)
const operator = /\*\*=|\/\/=|>>=|<<=|\.\.\.|->|:=|!=|[+\-*/%&|^@=<>]=|\*\*|\/\/|<<|>>|<>|[-+*/%@&|^~<>()[\]{},:.;=]/y
const name = /[\p{XID_Start}_][\p{XID_Continue}]*/uy
const asciiName = /[A-Za-z_]\w*(?!\w|[^\0-\x7f])/y // most of them
const stringStart = /(?:[rR][bBfF]?|[bBfF][rR]?|[uU])?(?:"""|'''|"|')/y
const operators = '+-*/%@&|^~<>()[]{},:.;=!'
const alone = '()[]{},;~'
const blank = /(?:[ \t\f]|\\\n)*/y
const deepest = 200 // CPython's tokenizer: too many nested parentheses
const closers: Record<string, string> = { '(': ')', '[': ']', '{': '}' }

const operatorTokens = new Map<string, Token>()

/** One object for all tokens of an operator or keyword. */
function operatorToken(text: string): Token {
  const known = operatorTokens.get(text)
  if (known) return known
  const token: Token = { kind: 'op', text }
  operatorTokens.set(text, token)
  return token
}

/**
 * Tokens of one expression as CPython 3.11's tokenizer makes them in `eval` mode: line breaks count outside brackets only, comments
 * vanish, names are normalised (NFKC). Linear in the text.
 *
 * Throws a {@link PythonError}.
 */
export function tokenize(source: string): Token[] {
  if (/\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(source)) {
    refuse('a null character or half a surrogate pair')
  }
  return new Tokenizer(source.replace(/\r\n?/g, '\n')).run()
}

class Tokenizer {
  private at = 0
  private readonly tokens: Token[] = []
  private readonly open: string[] = []

  constructor(private readonly text: string) {}

  run(): Token[] {
    for (;;) {
      this.space()
      const c = this.text.charAt(this.at)
      if (c === '') return this.end()
      if (c === '\n') this.lineBreak()
      else if (c === '#') this.skipComment()
      else this.token(c)
    }
  }

  private space(): void {
    const start = this.at
    if (!' \t\f\\'.includes(this.text.charAt(start))) return // nearly always
    const found = this.match(blank) ?? ''
    if (found === '' || this.open.length > 0 || (start > 0 && this.text.charAt(start - 1) !== '\n')) return
    const indent = found.slice(found.lastIndexOf('\f') + 1)
    const c = this.text.charAt(this.at)
    if (/^[ \t]/.test(indent) && c !== '\n' && c !== '#' && c !== '') refuse('unexpected indent')
  }

  private lineBreak(): void {
    const last = this.tokens.at(-1)
    if (this.open.length === 0 && last !== undefined && last.kind !== 'newline') this.push('newline', '\n')
    this.at++
  }

  private skipComment(): void {
    const end = this.text.indexOf('\n', this.at)
    this.at = end < 0 ? this.text.length : end
  }

  private end(): Token[] {
    if (this.open.length > 0) refuse(`"${this.open.at(-1)}" was never closed`)
    this.push('end', '')
    return this.tokens
  }

  private token(c: string): void {
    const start = `"'rRbBfFuU`.includes(c) ? this.match(stringStart) : undefined
    if (start !== undefined) this.string(start)
    else if (isDigit(c) || (c === '.' && isDigit(this.text.charAt(this.at + 1)))) this.number()
    else if (!this.operator(c)) this.word()
  }

  private word(): void {
    const plain = this.match(asciiName)
    const id = plain ?? this.match(name)?.normalize('NFKC')
    if (id === undefined) refuse(`character ${JSON.stringify(this.text.charAt(this.at))}`)
    if (keywords.has(id)) this.tokens.push(operatorToken(id))
    else this.push('name', id)
  }

  private operator(c: string): boolean {
    if (!operators.includes(c)) return false
    if (alone.includes(c)) this.at++ // most of them
    const text = alone.includes(c) ? c : (this.match(operator) ?? refuse(`character ${JSON.stringify(c)}`))
    this.bracket(text)
    this.tokens.push(operatorToken(text))
    return true
  }

  private bracket(text: string): void {
    if (text === '(' || text === '[' || text === '{') {
      if (this.open.length >= deepest) refuse('too many nested parentheses')
      this.open.push(text)
    } else if (text === ')' || text === ']' || text === '}') {
      const opened = this.open.pop()
      if (opened === undefined || closers[opened] !== text) refuse(`unmatched "${text}"`)
    }
  }

  private number(): void {
    const plain = this.match(shortInteger) // most of them
    if (plain === undefined) this.longNumber()
    else this.push('number', plain, BigInt(plain))
  }

  private longNumber(): void {
    const text = this.match(numberText) ?? refuse('a malformed number')
    // A word right behind a number is refused, but for the keywords that may follow one ("1if x else 2").
    const follow = this.text.slice(this.at, this.at + 5)
    if (/^[\p{XID_Continue}]/u.test(follow) && !/^(?:and|else|for|if|in|is|or|not)/.test(follow))
      refuse('a malformed number')
    this.push('number', text, numberValue(text))
  }

  private string(start: string): void {
    const quote = start.charAt(start.length - 1)
    const mark = start.endsWith(quote.repeat(3)) ? quote.repeat(3) : quote
    const prefix = start.slice(0, -mark.length).toLowerCase()
    const from = this.at
    const end = this.stringEnd(mark)
    const body = this.text.slice(from, end)
    this.at = end + mark.length
    if (prefix.includes('f')) this.push('fstring', this.text.slice(from - start.length, this.at))
    else this.push('string', start.startsWith('u') ? 'u' : '', stringValue(body, prefix))
  }

  /** Where the closing quotes begin. */
  private stringEnd(mark: string): number {
    const special = stringEnds[mark] as RegExp
    special.lastIndex = this.at
    for (let found = special.exec(this.text); found !== null; found = special.exec(this.text)) {
      if (found[0] === '\\') special.lastIndex = found.index + 2
      else if (found[0] === '\n') break
      else if (this.text.startsWith(mark, found.index)) return found.index
    }
    return refuse('unterminated string')
  }

  private push(kind: Token['kind'], text: string, value?: PyValue): void {
    this.tokens.push(value === undefined ? { kind, text } : { kind, text, value })
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }
}

/** What may end a string or matters on the way there, by its quotes. */
const stringEnds: Record<string, RegExp> = {
  "'": /[\\'\n]/g,
  '"': /[\\"\n]/g,
  "'''": /[\\']/g,
  '"""': /[\\"]/g,
}

function isDigit(c: string): boolean {
  return c >= '0' && c <= '9'
}

const digits = '[0-9](?:_?[0-9])*'
const numberText = new RegExp(
  `0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+` +
    `|(?:${digits}\\.(?:${digits})?|\\.${digits}|${digits})(?:[eE][+-]?${digits})?[jJ]?`,
  'y',
)
const shortInteger = /(?:0|[1-9]\d{0,15})(?=[,)\]}: ])/y
const maxDecimalDigits = 4300

function numberValue(text: string): PyValue {
  const plain = text.replaceAll('_', '')
  if (/^0[xob]/i.test(plain)) return BigInt(plain)
  if (/j$/i.test(plain)) return new PyComplex(0, Number(plain.slice(0, -1)))
  if (/[.e]/i.test(plain)) return Number(plain)
  if (plain.startsWith('0') && /[1-9]/.test(plain)) refuse('leading zeros')
  if (plain.length > maxDecimalDigits) refuse(`an integer of more than ${maxDecimalDigits} digits`)
  return BigInt(plain)
}

const escapes: Record<string, string> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

function stringValue(body: string, prefix: string): PyValue {
  const bytes = prefix.includes('b')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a bytes literal holds ASCII alone
  if (bytes && /[^\x00-\x7f]/.test(body)) refuse('a character outside ASCII in bytes')
  const text = prefix.includes('r') || !body.includes('\\') ? body : resolveEscapes(body, bytes)
  return bytes ? new PyBytes(text) : text
}

const escapeText = /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|([xuUN])|([\s\S]))/gu

/** Escapes of a string or bytes literal. An unknown one stays as it is, backslash and all. */
function resolveEscapes(body: string, bytes: boolean): string {
  const parts: string[] = []
  let from = 0
  escapeText.lastIndex = 0
  for (let found = escapeText.exec(body); found !== null; found = escapeText.exec(body)) {
    const [whole, octal, hex, letter, plain] = found
    parts.push(body.slice(from, found.index))
    from = found.index + whole.length
    if (octal !== undefined) parts.push(String.fromCharCode(Number.parseInt(octal, 8) & (bytes ? 0xff : 0x1ff)))
    else if (hex !== undefined) parts.push(String.fromCharCode(Number.parseInt(hex, 16)))
    else if (plain !== undefined) parts.push(escapes[plain] ?? whole)
    else if (letter === 'x') refuse('a malformed \\x escape')
    else if (bytes) parts.push(whole)
    else {
      const rest =
        letter === 'N'
          ? /^\{([^}]+)\}/.exec(body.slice(from, from + 200))
          : hexDigits(body, from, letter === 'u' ? 4 : 8)
      if (rest === null) refuse(`a malformed \\${letter} escape`)
      from += rest[0].length
      parts.push(letter === 'N' ? named(rest[1] as string) : codePoint(rest[0]))
    }
    escapeText.lastIndex = from
  }
  parts.push(body.slice(from))
  return parts.join('')
}

function hexDigits(body: string, from: number, count: number): RegExpExecArray | null {
  const found = /^[0-9a-fA-F]+/.exec(body.slice(from, from + count))
  return found !== null && found[0].length === count ? found : null
}

function codePoint(hex: string): string {
  const code = Number.parseInt(hex, 16)
  return code <= 0x10ffff ? String.fromCodePoint(code) : refuse('a character beyond U+10FFFF')
}

function named(name: string): string {
  return namedCharacter(name) ?? refuse(`unknown Unicode character name ${JSON.stringify(name)}`)
}
