import { refuse } from './raise.js'

/**
 * Refuses what CPython 3.11 refuses inside an f-string: braces that do not match, empty expressions, backslashes and comments in them,
 * unknown conversions, format specifications nested too deeply. `source` is the literal with prefix and quotes; `check` is given each
 * expression and throws where it is none. Escapes of the text between them are not looked at.
 */
export function checkFString(source: string, check: (expression: string) => void): void {
  const start = /^[a-zA-Z]*("""|'''|"|')/.exec(source) as RegExpExecArray
  const raw = /r/i.test(start[0])
  const body = source.slice(start[0].length, source.length - (start[1] as string).length)
  const end = new Scanner(body, raw, check).literal(0, 0)
  if (end < body.length) refuse('a single "}" in an f-string')
}

const deepestSpecification = 2
const closers: Record<string, string> = { '(': ')', '[': ']', '{': '}' }

class Scanner {
  constructor(
    private readonly body: string,
    private readonly raw: boolean,
    private readonly check: (expression: string) => void,
  ) {}

  /** Text and fields from `at` to the end, or within a format specification to the `}` behind it. */
  literal(at: number, level: number): number {
    const { body } = this
    let i = at
    while (i < body.length) {
      const c = body.charAt(i)
      if (c === '\\' && !this.raw) i = this.escape(i + 1)
      else if (c === '{' && level === 0 && body.charAt(i + 1) === '{') i += 2
      else if (c === '{') i = this.field(i + 1, level)
      else if (c !== '}') i++
      else if (level > 0 || body.charAt(i + 1) !== '}') return i
      else i += 2
    }
    return i
  }

  /** A backslash escapes no brace, but for those of `\\N{…}`. */
  private escape(at: number): number {
    if (!this.body.startsWith('N{', at)) return /[{}]/.test(this.body.charAt(at)) ? at : at + 1
    const end = this.body.indexOf('}', at)
    return end < 0 ? refuse('a malformed \\N escape') : end + 1
  }

  /** From behind the `{` to behind its `}`. */
  private field(at: number, level: number): number {
    const { body } = this
    if (level >= deepestSpecification) refuse('a format specification nested too deeply')
    let i = this.expression(at)
    const expression = body.slice(at, i)
    if (/^[ \t\f\n\r]*$/.test(expression)) refuse('an empty expression in an f-string')
    this.check(expression)
    if (body.charAt(i) === '=') while (/[= \t\f\n\r]/.test(body.charAt(i))) i++
    if (body.charAt(i) === '!') {
      if (!/^[sra]$/.test(body.charAt(i + 1))) refuse('an unknown conversion in an f-string')
      i += 2
    }
    if (body.charAt(i) === ':') i = this.literal(i + 1, level + 1)
    return body.charAt(i) === '}' ? i + 1 : refuse('an f-string that expects a "}"')
  }

  /** Where the expression that begins at `at` ends: at `!`, `:`, `=` or `}` outside brackets and quotes, comparisons apart. */
  private expression(at: number): number {
    const { body } = this
    const open: string[] = []
    let i = at
    for (; i < body.length; i++) {
      const c = body.charAt(i)
      if (c === '\\') refuse('a backslash in an expression of an f-string')
      if (c === '#') refuse('a comment in an f-string')
      if (c === '"' || c === "'") i = this.quoted(i, c) - 1
      else if (c in closers) open.push(closers[c] as string)
      else if (open.length === 0 && '=!:}<>'.includes(c)) {
        if ('=!<>'.includes(c) && body.charAt(i + 1) === '=') i++
        else if (c !== '<' && c !== '>') return i
      } else if (')]}'.includes(c) && open.pop() !== c) refuse('brackets that do not match in an f-string')
    }
    return refuse('an f-string that expects a "}"')
  }

  /** Behind the closing quotes; nothing is escaped here, for there are no backslashes. */
  private quoted(at: number, quote: string): number {
    const mark = this.body.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote
    const end = this.body.indexOf(mark, at + mark.length)
    const text = this.body.slice(at, end)
    if (end < 0 || text.includes('\\')) refuse('an unterminated string in an f-string')
    return end + mark.length
  }
}
