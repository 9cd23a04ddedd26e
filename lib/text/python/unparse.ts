import type { Clause, Expression, Parameter } from './ast.js'
import { type Constant, PyComplex } from './constants.js'
import { levels } from './operators.js'
import { pyRepr } from './repr.js'

/** How tight an expression binds: one that stands where something tighter is wanted gets parentheses. */
enum Tight {
  Tuple,
  Yield,
  Test,
  Or,
  And,
  Not,
  Compare,
  Bitwise, // then one per level of binary operators
  Factor = Bitwise + 6,
  Power,
  Await,
  Atom,
}

/** The source text that CPython 3.11's `ast.unparse` gives; an f-string keeps its own spelling. */
export function unparse(node: Expression): string {
  return text(node, Tight.Test)
}

/** Concatenated, never joined: V8 keeps such strings as trees, so that nesting copies nothing. */
function text(node: Expression, wanted: Tight): string {
  const within = (tight: Tight, body: string) => (wanted > tight ? `(${body})` : body)
  switch (node.kind) {
    case 'constant':
      return (node.unicodePrefix ? 'u' : '') + constant(node.value)
    case 'name':
      return node.id
    case 'fstring':
      return node.source
    case 'attribute': {
      const number = node.value.kind === 'constant' && isInt(node.value.value)
      return `${text(node.value, Tight.Atom)}${number ? ' ' : ''}.${node.name}`
    }
    case 'subscript':
      return `${text(node.value, Tight.Atom)}[${index(node.index)}]`
    case 'slice': {
      const part = (expression: Expression | null) => (expression ? text(expression, Tight.Test) : '')
      return `${part(node.lower)}:${part(node.upper)}${node.step ? `:${part(node.step)}` : ''}`
    }
    case 'call':
      return call(node)
    case 'unary': {
      const tight = node.operator === 'not' ? Tight.Not : Tight.Factor
      return within(tight, (node.operator === 'not' ? 'not ' : node.operator) + text(node.operand, tight))
    }
    case 'binary':
      return within(binaryTight(node.operator), binary(node))
    case 'boolean': {
      const tight = node.operator === 'or' ? Tight.Or : Tight.And
      // CPython raises the wanted tightness by one for every further operand.
      const values = node.values.map((value, i) => text(value, Math.min(tight + 1 + i, Tight.Atom)))
      return within(tight, concatenate(values, ` ${node.operator} `))
    }
    case 'compare': {
      const rest = node.rest.map(({ operator, value }) => ` ${operator} ${text(value, Tight.Bitwise)}`)
      return within(Tight.Compare, text(node.first, Tight.Bitwise) + concatenate(rest, ''))
    }
    case 'conditional': {
      const [then, test] = [text(node.then, Tight.Or), text(node.test, Tight.Or)]
      return within(Tight.Test, `${then} if ${test} else ${text(node.otherwise, Tight.Test)}`)
    }
    case 'lambda': {
      const space = node.parameters.length > 0 ? ' ' : ''
      return within(Tight.Test, `lambda${space}${parameters(node.parameters)}: ${text(node.body, Tight.Test)}`)
    }
    case 'list':
      return `[${items(node.items)}]`
    case 'set':
      return `{${items(node.items)}}`
    case 'tuple':
      return node.items.length > 0 && wanted <= Tight.Tuple ? tupleItems(node.items) : `(${tupleItems(node.items)})`
    case 'dict':
      return `{${concatenate(node.entries.map(entry), ', ')}}`
    case 'comprehension':
      return comprehension(node)
    case 'starred':
      return `*${text(node.value, Tight.Bitwise)}`
    case 'assign':
      return within(Tight.Tuple, `${text(node.target, Tight.Atom)} := ${text(node.value, Tight.Atom)}`)
    case 'await':
      return within(Tight.Await, `await ${text(node.value, Tight.Atom)}`)
    case 'yield': {
      const value = node.value === null ? '' : ` ${text(node.value, Tight.Atom)}`
      return within(Tight.Yield, `${node.from ? 'yield from' : 'yield'}${value}`)
    }
  }
}

function concatenate(parts: readonly string[], separator: string): string {
  return parts.reduce((whole, part, i) => (i === 0 ? part : `${whole}${separator}${part}`), '')
}

function isInt(value: Constant): boolean {
  return typeof value === 'bigint' || typeof value === 'boolean'
}

/** An overflowing float has no literal of its own. */
function constant(value: Constant): string {
  if (typeof value === 'symbol') return '...'
  const text = pyRepr(value)
  return typeof value === 'number' || value instanceof PyComplex ? text.replaceAll('inf', '1e309') : text
}

function binary({ operator, left, right }: Expression & { kind: 'binary' }): string {
  const tight = binaryTight(operator)
  const [l, r] = operator === '**' ? [tight + 1, tight] : [tight, tight + 1]
  return `${text(left, l)} ${operator} ${text(right, r)}`
}

function binaryTight(operator: string): Tight {
  if (operator === '**') return Tight.Power
  const level = levels.findIndex((operators) => typeof operators !== 'string' && operators.some((o) => o === operator))
  return Tight.Bitwise + level - levels.indexOf('compare') - 1
}

function items(list: readonly Expression[]): string {
  return concatenate(
    list.map((item) => text(item, Tight.Test)),
    ', ',
  )
}

function tupleItems(list: readonly Expression[]): string {
  return items(list) + (list.length === 1 ? ',' : '')
}

function index(node: Expression): string {
  return node.kind === 'tuple' && node.items.length > 0 ? tupleItems(node.items) : text(node, Tight.Test)
}

function call({ callee, args, keywords }: Expression & { kind: 'call' }): string {
  const named = keywords.map(({ name, value }) => (name === null ? '**' : `${name}=`) + text(value, Tight.Test))
  const given = [...args.map((arg) => text(arg, Tight.Test)), ...named]
  return `${text(callee, Tight.Atom)}(${concatenate(given, ', ')})`
}

function entry({ key, value }: { key: Expression | null; value: Expression }): string {
  if (key === null) return `**${text(value, Tight.Bitwise)}`
  return `${text(key, Tight.Test)}: ${text(value, Tight.Test)}`
}

const brackets = { list: ['[', ']'], set: ['{', '}'], dict: ['{', '}'], generator: ['(', ')'] } as const

function comprehension({ of, item, value, clauses }: Expression & { kind: 'comprehension' }): string {
  const [open, close] = brackets[of]
  const made = text(item, Tight.Test) + (value ? `: ${text(value, Tight.Test)}` : '')
  return `${open}${made}${concatenate(clauses.map(clause), '')}${close}`
}

function clause({ isAsync, target, iterable, conditions }: Clause): string {
  const tests = concatenate(
    conditions.map((condition) => ` if ${text(condition, Tight.Or)}`),
    '',
  )
  return ` ${isAsync ? 'async ' : ''}for ${text(target, Tight.Tuple)} in ${text(iterable, Tight.Or)}${tests}`
}

function parameters(list: readonly Parameter[]): string {
  const one = ({ mark, name, default: value }: Parameter) =>
    mark + name + (value === null ? '' : `=${text(value, Tight.Test)}`)
  return concatenate(list.map(one), ', ')
}
