import { evaluate, negate } from './arithmetic.js'
import type { Expression } from './ast.js'
import { pyDict } from './constants.js'
import { parseExpression } from './parse.js'
import { PythonError, refuse } from './raise.js'
import { unparse } from './unparse.js'
import { type PyDict, PyKey, PyTuple, type PyValue } from './value.js'

/** A call as benchmarks decode it. */
export interface DecodedCall {
  /** Dotted; empty where what is called has no name. */
  name: string
  /** Arguments by name, in order; the key null holds what `**` unpacks. Arguments by position are not kept. */
  args: PyDict
}

export interface DecodeOptions {
  /** A call without keywords as an argument: its source text, or `{name: {}}` as any other call. */
  bareCall: 'text' | 'object'
  /** Whether a call that stands alone, in no list, is a list of one. */
  loneCall: boolean
}

/**
 * The calls that a text like `[f(a=1), g.h(b='x')]` holds, by the rules that the Berkeley leaderboard's decoder set and ACEBench's took over:
 * a list, tuple or set of calls; an argument that is a name is its text; any unary operator negates a constant; binary operators between
 * constants are computed (by {@link evaluate}, never run); a subscript is its source text; attributes, comparisons, conditions, lambdas,
 * comprehensions, f-strings and sets are refused.
 *
 * Null where the text is no Python expression or holds anything that is refused. Linear in the text.
 */
export function decodeCalls(text: string, options: DecodeOptions): DecodedCall[] | null {
  const tree = parseExpression(text)
  if (tree === null) return null
  try {
    if (options.loneCall && tree.kind === 'call') return [call(tree, options)]
    if (tree.kind !== 'list' && tree.kind !== 'tuple' && tree.kind !== 'set') return null
    return tree.items.map((item) => (item.kind === 'call' ? call(item, options) : refuse('something else than a call')))
  } catch (error) {
    if (error instanceof PythonError) return null
    throw error
  }
}

function call(node: Expression & { kind: 'call' }, options: DecodeOptions): DecodedCall {
  const args: PyDict = new Map()
  const unpacked = new PyKey(null)
  for (const { name, value } of node.keywords) args.set(name ?? unpacked, argument(value, options))
  return { name: dottedName(node.callee), args }
}

function dottedName(callee: Expression): string {
  const parts: string[] = []
  let node = callee
  for (; node.kind === 'attribute'; node = node.value) parts.push(node.name)
  if (node.kind === 'name') parts.push(node.id)
  return parts.reverse().join('.')
}

function argument(node: Expression, options: DecodeOptions): PyValue {
  switch (node.kind) {
    case 'constant':
      return typeof node.value === 'symbol' ? '...' : node.value
    case 'name':
      return node.id
    case 'unary':
      return node.operand.kind === 'constant' ? negate(node.operand.value) : refuse('an operator before no constant')
    case 'list':
      return node.items.map((item) => argument(item, options))
    case 'tuple':
      return new PyTuple(node.items.map((item) => argument(item, options)))
    case 'dict':
      return dict(node, options)
    case 'binary':
      return evaluate(node)
    case 'call': {
      if (options.bareCall === 'text' && node.keywords.length === 0) return unparse(node)
      const { name, args } = call(node, options)
      return pyDict([[name, args]])
    }
    case 'subscript':
      return `${unparse(node.value)}[${unparse(node.index)}]`
    default:
      return refuse(`a ${node.kind} as an argument`)
  }
}

function dict(node: Expression & { kind: 'dict' }, options: DecodeOptions): PyDict {
  return pyDict(
    node.entries.map(({ key, value }) => [
      key === null ? refuse('unpacking in a dict') : argument(key, options),
      argument(value, options),
    ]),
  )
}
