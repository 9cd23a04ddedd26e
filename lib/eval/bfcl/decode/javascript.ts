// BFCL's reader of a JavaScript call: `f(a=1, b="x")` to names and the source text of the values, by the syntax tree.

import { pyDict } from '../../../text/python/constants.js'
import type { PyValue } from '../../../text/python/value.js'
import type { Decoded } from '../check.js'
import { type Node, parseSource } from './tree-sitter.js'

/** The first statement of the source that is a call. No such statement gives None, which is no list of calls. */
export function decodeJavaScript(source: string): Decoded {
  const read = parseSource(source, 'javascript', (root) =>
    readProgram(root, (node) => source.slice(node.startIndex, node.endIndex)),
  )
  return read ?? { failure: 'Error js parsing the source code.' }
}

type TextOf = (node: Node) => string

function readProgram(root: Node, textOf: TextOf): Decoded {
  const calls = children(root)
    .filter(({ type }) => type === 'expression_statement')
    .flatMap(children)
  const call = calls.find(({ type }) => type === 'call_expression')
  if (!call) return { value: null }
  const [callee, given] = children(call)
  const args = new Map<string | null, string>()
  for (const node of given ? children(given) : []) {
    const pair = argument(node, textOf)
    if (!pair) continue
    if (args.has(pair[0])) return { failure: 'Error: Multiple arguments with the same name are not supported.' }
    args.set(...pair)
  }
  return { value: [pyDict([[callee ? textOf(callee) : '', pyDict(args as Map<PyValue, PyValue>)]])] }
}

/** `name = value`, the quotes off a string; or a lone name or `true`, whose key is None. Anything else is passed over. */
function argument(node: Node, textOf: TextOf): [string | null, string] | null {
  const { type } = node
  if (type === 'identifier' || type === 'true') return [null, textOf(node)]
  if (type !== 'assignment_expression') return null
  const [name, , value] = children(node)
  if (!name || !value) return null
  const text = textOf(value)
  const quoted = ['"', "'"].some((quote) => text.startsWith(quote) && text.endsWith(quote))
  return [textOf(name), quoted ? text.slice(1, -1) : text]
}

const children = (node: Node): Node[] => node.children.filter((child) => child !== null)
