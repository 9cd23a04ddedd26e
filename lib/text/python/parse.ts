import type { BinaryOperator, Clause, Expression, Keyword, Parameter, UnaryOperator } from './ast.js'
import { type Constant, ellipsis, PyBytes } from './constants.js'
import { checkFString } from './fstring.js'
import { comparison, levels, operatorLevel } from './operators.js'
import { PythonError, refuse } from './raise.js'
import { type Token, tokenize } from './tokens.js'
import type { PyValue } from './value.js'

/**
 * The expression that `ast.parse(text, mode='eval')` of CPython 3.11 sees, or null where it raises. An f-string is
 * checked and kept as its source. Linear in the text; nesting ends where CPython's recursion does (about {@link deepestTree} nodes).
 */
export function parseExpression(text: string): Expression | null {
  try {
    return new Parser(tokenize(text)).run()
  } catch (error) {
    if (error instanceof PythonError) return null
    throw error
  }
}

const deepestTree = 1000

type Node = Expression extends infer E ? (E extends { depth: number } ? Omit<E, 'depth'> : never) : never

/** A node with its depth. */
function make(node: Node, children: readonly (Expression | null)[] = []): Expression {
  let depth = 0
  for (const child of children) if (child !== null && child.depth > depth) depth = child.depth
  if (depth >= deepestTree) refuse('nested too deeply')
  const made = node as Expression
  made.depth = depth + 1
  return made
}

const constants: Record<string, Constant> = { True: true, False: false, None: null, '...': ellipsis }

class Parser {
  private at = 0
  private nested = 0

  constructor(private readonly tokens: readonly Token[]) {}

  run(): Expression {
    const first = this.expression()
    const items = [first]
    while (this.accept(',')) {
      if (this.peek().kind === 'newline' || this.peek().kind === 'end') break
      items.push(this.expression())
    }
    const root =
      this.tokens[this.at - 1]?.text === ',' || items.length > 1 ? make({ kind: 'tuple', items }, items) : first
    while (this.peek().kind === 'newline') this.at++
    if (this.peek().kind !== 'end') refuse('text after the expression')
    return root
  }

  /** Any expression but a starred one, an assignment or a yield. */
  private expression(): Expression {
    this.enter()
    const found = this.accept('lambda') ? this.lambda() : this.conditional(this.operators(0))
    this.nested--
    return found
  }

  private conditional(then: Expression): Expression {
    if (!this.accept('if')) return then
    const test = this.operators(0)
    this.expect('else')
    const otherwise = this.expression()
    return make({ kind: 'conditional', test, then, otherwise }, [test, then, otherwise])
  }

  private enter(): void {
    if (++this.nested > deepestTree) refuse('nested too deeply')
  }

  /** `name := expression`, or an expression. */
  private named(): Expression {
    if (this.peek().kind !== 'name' || this.peek(1).text !== ':=') return this.expression()
    const target = this.atom()
    this.at++
    const value = this.expression()
    return make({ kind: 'assign', target, value }, [value])
  }

  /** `*x`, or what {@link named} reads. */
  private item(): Expression {
    if (!this.accept('*')) return this.named()
    const value = this.operators(bitwise)
    return make({ kind: 'starred', value }, [value])
  }

  /** Whether {@link item} will read something that only parentheses make an expression. */
  private atBare(): boolean {
    return this.isOp('*') || (this.peek().kind === 'name' && this.peek(1).text === ':=')
  }

  /** Operators that bind as tightly as those of `level` or tighter, by precedence climbing: one frame for any number of levels. */
  private operators(level: number): Expression {
    let left = level <= negation && this.isOp('not') ? this.prefixed('not') : this.factor()
    for (;;) {
      const next = this.operatorLevel()
      if (next < level) return left
      const kind = levels[next]
      if (kind === 'or' || kind === 'and') left = this.booleans(left, kind, next)
      else if (kind === 'compare') left = this.comparisons(left)
      else left = this.binary(left, next)
    }
  }

  /** The level of the operator here, -1 where none is. */
  private operatorLevel(): number {
    const { kind, text } = this.peek()
    return kind === 'op' ? operatorLevel(text, this.peek(1).text) : -1
  }

  private booleans(first: Expression, operator: 'or' | 'and', level: number): Expression {
    const values = [first]
    while (this.accept(operator)) values.push(this.operators(level + 1))
    return make({ kind: 'boolean', operator, values }, values)
  }

  private comparisons(first: Expression): Expression {
    const rest: { operator: string; value: Expression }[] = []
    while (this.operatorLevel() === bitwise - 1) {
      const operator = comparison(this.peek().text, this.peek(1).text) as string
      this.at += operator.includes(' ') ? 2 : 1
      rest.push({ operator, value: this.operators(bitwise) })
    }
    return make({ kind: 'compare', first, rest }, [first, ...rest.map(({ value }) => value)])
  }

  private binary(left: Expression, level: number): Expression {
    const operator = this.peek().text as BinaryOperator
    this.at++
    const right = this.operators(level + 1)
    return make({ kind: 'binary', operator, left, right }, [left, right])
  }

  private prefixed(operator: UnaryOperator): Expression {
    this.at++
    this.enter()
    const operand = operator === 'not' ? this.operators(negation) : this.factor()
    this.nested--
    return make({ kind: 'unary', operator, operand }, [operand])
  }

  private factor(): Expression {
    for (const operator of ['+', '-', '~'] as const) if (this.isOp(operator)) return this.prefixed(operator)
    const left = this.primary()
    if (!this.accept('**')) return left
    this.enter()
    const right = this.factor()
    this.nested--
    return make({ kind: 'binary', operator: '**', left, right }, [left, right])
  }

  private primary(): Expression {
    const awaited = this.accept('await')
    let value = this.atom()
    for (;;) {
      if (this.accept('.')) value = make({ kind: 'attribute', value, name: this.name() }, [value])
      else if (this.accept('(')) value = this.call(value)
      else if (this.accept('[')) {
        const index = this.index()
        value = make({ kind: 'subscript', value, index }, [value, index])
      } else return awaited ? make({ kind: 'await', value }, [value]) : value
    }
  }

  private call(callee: Expression): Expression {
    const args: Expression[] = []
    const keywords: Keyword[] = []
    let unpacked = false // after **x only keywords may follow
    while (!this.accept(')')) {
      const before = args.length + keywords.length
      if (this.accept('**')) {
        keywords.push({ name: null, value: this.expression() })
        unpacked = true
      } else if (this.peek().kind === 'name' && this.peek(1).text === '=') {
        const name = this.name()
        this.at++
        keywords.push({ name, value: this.expression() })
      } else if (this.accept('*')) {
        if (unpacked) refuse('an unpacked list after an unpacked dict')
        const value = this.expression()
        args.push(make({ kind: 'starred', value }, [value]))
      } else {
        if (keywords.length > 0) refuse('a positional argument after one by name')
        const value = this.named()
        if (this.atClause()) {
          args.push(this.comprehension('generator', value, null))
          if (before > 0 || !this.accept(')')) refuse('a bare generator beside other arguments')
          break
        }
        args.push(value)
      }
      if (!this.accept(',')) {
        this.expect(')')
        break
      }
    }
    return make({ kind: 'call', callee, args, keywords }, [callee, ...args, ...keywords.map(({ value }) => value)])
  }

  private index(): Expression {
    const items: Expression[] = []
    let comma = false
    do {
      if (comma && this.peek().text === ']') break
      items.push(this.slice())
      comma = this.accept(',')
    } while (comma)
    this.expect(']')
    const [only] = items
    return comma || items.length > 1 || only?.kind === 'starred'
      ? make({ kind: 'tuple', items }, items)
      : (only as Expression)
  }

  private slice(): Expression {
    const part = () => (/^[:,\]]$/.test(this.peek().text) && this.peek().kind === 'op' ? null : this.expression())
    if (!this.isOp(':')) {
      const bare = this.atBare()
      const lower = this.item()
      if (!this.isOp(':')) return lower
      if (bare) refuse('a slice of something else than an expression')
      this.at++
      return this.sliceFrom(lower, part)
    }
    this.at++
    return this.sliceFrom(null, part)
  }

  private sliceFrom(lower: Expression | null, part: () => Expression | null): Expression {
    const upper = part()
    const step = this.accept(':') ? part() : null
    return make({ kind: 'slice', lower, upper, step }, [lower, upper, step])
  }

  private atom(): Expression {
    const token = this.peek()
    this.at++
    if (token.kind === 'name') return make({ kind: 'name', id: token.text })
    if (token.kind === 'number') return make({ kind: 'constant', value: token.value as PyValue })
    if (token.kind === 'string' || token.kind === 'fstring') return this.strings(token)
    if (token.kind === 'op') {
      if (Object.hasOwn(constants, token.text))
        return make({ kind: 'constant', value: constants[token.text] as Constant })
      if (token.text === '(') return this.parenthesized()
      if (token.text === '[') return this.list()
      if (token.text === '{') return this.braces()
    }
    return refuse(`expected an expression, got ${JSON.stringify(token.text)}`)
  }

  /** Adjacent literals are one. */
  private strings(first: Token): Expression {
    const parts = [first]
    while (this.peek().kind === 'string' || this.peek().kind === 'fstring') parts.push(this.tokens[this.at++] as Token)
    const values = parts.map(({ value }) => value)
    const bytes = values.filter((value) => value instanceof PyBytes)
    if (bytes.length > 0 && bytes.length < parts.length) refuse('bytes beside text')
    for (const { kind, text } of parts) {
      if (kind === 'fstring') checkFString(text, (expression) => void new Parser(tokenize(`(${expression})`)).run())
    }
    if (parts.some(({ kind }) => kind === 'fstring')) {
      return make({ kind: 'fstring', source: parts.map(({ kind, text }) => (kind === 'fstring' ? text : '')).join('') })
    }
    const unicodePrefix = first.text === 'u'
    if (bytes.length > 0) return make({ kind: 'constant', value: new PyBytes(bytes.map(({ text }) => text).join('')) })
    return make({ kind: 'constant', value: values.join(''), ...(unicodePrefix && { unicodePrefix }) })
  }

  private parenthesized(): Expression {
    if (this.accept(')')) return make({ kind: 'tuple', items: [] })
    if (this.accept('yield')) return this.yielded()
    const first = this.item()
    if (this.atClause()) return this.close(this.comprehension('generator', first, null), ')')
    if (!this.isOp(',')) {
      if (first.kind === 'starred') refuse('a starred expression alone')
      return this.close(first, ')')
    }
    const items = this.rest(first, ')')
    return make({ kind: 'tuple', items }, items)
  }

  private yielded(): Expression {
    const from = this.accept('from')
    let value: Expression | null = null
    if (from) value = this.expression()
    else if (!this.isOp(')')) {
      value = this.item()
      if (this.isOp(',')) {
        const items = this.rest(value, ')')
        const tuple = make({ kind: 'tuple', items }, items)
        return make({ kind: 'yield', from, value: tuple }, [tuple])
      }
    }
    return this.close(make({ kind: 'yield', from, value }, [value]), ')')
  }

  private list(): Expression {
    if (this.accept(']')) return make({ kind: 'list', items: [] })
    const first = this.item()
    if (this.atClause()) return this.close(this.comprehension('list', first, null), ']')
    const items = this.rest(first, ']')
    return make({ kind: 'list', items }, items)
  }

  private braces(): Expression {
    if (this.accept('}')) return make({ kind: 'dict', entries: [] })
    if (this.isOp('**')) return this.dict([])
    const bare = this.atBare()
    const first = this.item()
    if (this.accept(':')) {
      if (bare) refuse('a key that is no expression')
      const value = this.expression()
      if (this.atClause()) return this.close(this.comprehension('dict', first, value), '}')
      return this.dict([{ key: first, value }])
    }
    if (this.atClause()) return this.close(this.comprehension('set', first, null), '}')
    const items = this.rest(first, '}')
    return make({ kind: 'set', items }, items)
  }

  /** Entries behind those at hand, up to the closing brace. */
  private dict(entries: { key: Expression | null; value: Expression }[]): Expression {
    while (entries.length === 0 || this.accept(',')) {
      if (this.isOp('}')) break
      if (this.accept('**')) entries.push({ key: null, value: this.operators(bitwise) })
      else {
        const key = this.expression()
        this.expect(':')
        entries.push({ key, value: this.expression() })
      }
    }
    const children = entries.flatMap(({ key, value }) => [key, value])
    return this.close(make({ kind: 'dict', entries }, children), '}')
  }

  /** Items behind `first` and the closing bracket; a comma may end them. */
  private rest(first: Expression, end: string): Expression[] {
    const items = [first]
    while (this.accept(',')) {
      if (this.isOp(end)) break
      items.push(this.item())
    }
    this.expect(end)
    return items
  }

  private close(node: Expression, end: string): Expression {
    this.expect(end)
    return node
  }

  private atClause(): boolean {
    return this.isOp('for') || (this.isOp('async') && this.peek(1).text === 'for')
  }

  private comprehension(
    of: 'list' | 'set' | 'dict' | 'generator',
    item: Expression,
    value: Expression | null,
  ): Expression {
    if (item.kind === 'starred') refuse('unpacking in a comprehension')
    const clauses: Clause[] = []
    while (this.atClause()) {
      const isAsync = this.accept('async')
      this.expect('for')
      const target = this.targets()
      this.expect('in')
      const iterable = this.operators(0)
      const conditions: Expression[] = []
      while (this.accept('if')) conditions.push(this.operators(0))
      clauses.push({ isAsync, target, iterable, conditions })
    }
    const children = clauses.flatMap(({ target, iterable, conditions }) => [target, iterable, ...conditions])
    return make({ kind: 'comprehension', of, item, value, clauses }, [item, value, ...children])
  }

  private targets(): Expression {
    const one = () => {
      const starred = this.accept('*')
      const target = this.operators(bitwise)
      if (!assignable(target)) refuse('a target that cannot be assigned to')
      return starred ? make({ kind: 'starred', value: target }, [target]) : target
    }
    const items = [one()]
    let comma = false
    while (this.accept(',')) {
      comma = true
      if (this.isOp('in')) break
      items.push(one())
    }
    return comma ? make({ kind: 'tuple', items }, items) : (items[0] as Expression)
  }

  private lambda(): Expression {
    const parameters: Parameter[] = []
    while (!this.isOp(':')) {
      parameters.push(this.parameter(parameters))
      if (!this.accept(',')) break
    }
    checkParameters(parameters)
    this.expect(':')
    const body = this.expression()
    return make({ kind: 'lambda', parameters, body }, [body, ...parameters.map((p) => p.default)])
  }

  private parameter(before: readonly Parameter[]): Parameter {
    if (before.at(-1)?.mark === '**') refuse('a parameter after **')
    if (this.accept('/')) return { mark: '/', name: '', default: null }
    const mark = this.accept('**') ? '**' : this.accept('*') ? '*' : ''
    if (mark === '*' && this.isOp(',')) return { mark, name: '', default: null }
    const name = this.name()
    if (mark === '' && this.accept('=')) return { mark, name, default: this.expression() }
    return { mark, name, default: null }
  }

  private name(): string {
    const token = this.peek()
    if (token.kind !== 'name') refuse(`expected a name, got ${JSON.stringify(token.text)}`)
    this.at++
    return token.text
  }

  private peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token
  }

  private isOp(text: string): boolean {
    const token = this.peek()
    return token.kind === 'op' && token.text === text
  }

  private accept(text: string): boolean {
    if (!this.isOp(text)) return false
    this.at++
    return true
  }

  private expect(text: string): void {
    if (!this.accept(text)) refuse(`expected "${text}", got ${JSON.stringify(this.peek().text)}`)
  }
}

const negation = levels.indexOf('not')
const bitwise = levels.indexOf('compare') + 1

function assignable(target: Expression): boolean {
  if (target.kind === 'list' || target.kind === 'tuple') {
    return target.items.every((item) => assignable(item.kind === 'starred' ? item.value : item))
  }
  return target.kind === 'name' || target.kind === 'attribute' || target.kind === 'subscript'
}

/** One `/` after a parameter, one `*`, names behind a bare `*`, no bare parameter after one with a default. */
function checkParameters(parameters: readonly Parameter[]): void {
  let defaults = false
  let star = false
  for (const [i, { mark, name, default: value }] of parameters.entries()) {
    if (mark === '/') {
      if (i === 0 || star || parameters.slice(0, i).some((p) => p.mark === '/')) refuse('a misplaced /')
    } else if (mark === '*') {
      if (
        star ||
        (name === '' && (parameters[i + 1]?.name ?? '') === '') ||
        (name === '' && parameters[i + 1]?.mark === '**')
      ) {
        refuse('a misplaced *')
      }
      star = true
    } else if (mark === '' && !star) {
      if (defaults && value === null) refuse('a parameter without a default after one with')
      defaults ||= value !== null
    }
  }
}
