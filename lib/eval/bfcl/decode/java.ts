// BFCL's reader of a Java call: `Class.method(a=1, b=new int[]{2})` to names and the source text of the values, by the syntax tree.

import { pyDict } from '../../../text/python/constants.js'
import type { PyValue } from '../../../text/python/value.js'
import type { Decoded } from '../check.js'
import { type Node, parseSource } from './tree-sitter.js'

/** The first call of the source. No call gives an empty dict, which is no list of calls. */
export function decodeJava(source: string): Decoded {
  const slice = slicer(source)
  try {
    const read = parseSource(source, 'java', (root) => new Reader(slice).call(root))
    return read ?? { failure: 'Error parsing java the source code.' }
  } catch (error) {
    if (error instanceof Unreadable) return { failure: error.message }
    throw error
  }
}

/** Where the official reader raises: an attribute of None, or Python's recursion limit. */
class Unreadable extends Error {}

/** Levels of the tree that are walked down. */
const deepest = 900

/**
 * The official reader cuts a text of characters at offsets that count bytes: behind the first character outside ASCII everything it reads
 * is shifted. So it is here.
 */
function slicer(source: string): (node: Node) => string {
  if (/^[\0-\x7f]*$/.test(source)) return (node) => source.slice(node.startIndex, node.endIndex)
  const characters = [...source]
  const bytes = new Int32Array(source.length + 2)
  for (let i = 0; i < source.length; i++) {
    const code = source.charCodeAt(i)
    const surrogate = code >= 0xd800 && code < 0xe000
    bytes[i + 1] = bytes[i]! + (code < 0x80 ? 1 : code < 0x800 || surrogate ? 2 : 3)
  }
  const offset = (index: number) => bytes[Math.min(index, source.length)]!
  return (node) => characters.slice(offset(node.startIndex), offset(node.endIndex)).join('')
}

const wholeNodes = new Set(['identifier', 'class_literal', 'type_identifier', 'method_invocation'])
const unnamedArguments = new Set(['identifier', 'class_literal', 'set'])

class Reader {
  private depth = 0

  constructor(private readonly text: (node: Node) => string) {}

  /** Depth first, the first method invocation. */
  call(node: Node): Decoded {
    return this.find(node) ?? { value: new Map() }
  }

  private find(node: Node): Decoded | null {
    if (node.type === 'method_invocation') return this.invocation(node)
    return this.deeper(() => {
      for (const child of children(node)) {
        const found = this.find(child)
        if (found) return found
      }
      return null
    })
  }

  private deeper<T>(walk: () => T): T {
    if (++this.depth > deepest) throw new Unreadable('nested too deeply')
    const result = walk()
    this.depth--
    return result
  }

  private invocation(node: Node): Decoded {
    const method = node.childForFieldName('name')
    const owner = node.childForFieldName('object')
    const given = node.childForFieldName('arguments')
    if (!method || !given) return { value: new Map() }
    const name = owner ? `${this.text(owner)}.${this.text(method)}` : this.text(method)
    const args = new Map<string | null, string>()
    for (const child of children(given)) {
      const pair = this.argument(child)
      if (!pair) continue
      if (args.has(pair[0])) return { failure: 'Error: Multiple arguments with the same name are not supported.' }
      args.set(...pair)
    }
    return { value: [pyDict([[name, pyDict(args as Map<PyValue, PyValue>)]])] }
  }

  /** `name = value`, or a lone name, whose key is None; anything else is passed over. */
  private argument(node: Node): [string | null, string] | null {
    const { type } = node
    if (unnamedArguments.has(type)) return [null, this.value(node, false)]
    if (type !== 'assignment_expression') return null
    const [left, , right] = children(node)
    return left && right ? [this.text(left), this.value(right, false)] : null
  }

  /** A value's source: quotes come off the outermost string, creations are put together anew, space between parts is lost. */
  private value(node: Node, nested: boolean): string {
    const { type } = node
    if (type === 'string_literal' || type === 'character_literal') {
      return nested ? this.text(node) : this.text(node).slice(1, -1)
    }
    if (wholeNodes.has(type)) return this.text(node)
    return this.deeper(() => {
      if (type === 'array_creation_expression') return this.arrayCreation(node)
      if (type === 'object_creation_expression') return this.objectCreation(node)
      const parts = children(node)
      return parts.length > 0 ? parts.map((child) => this.value(child, true)).join('') : this.text(node)
    })
  }

  private arrayCreation(node: Node): string {
    const type = node.childForFieldName('type')
    const value = node.childForFieldName('value')
    if (!type || !value) throw new Unreadable('a creation without the expected part')
    return `new ${this.value(type, true)}[]${this.value(value, true)}`
  }

  private objectCreation(node: Node): string {
    const type = node.childForFieldName('type')
    const given = node.childForFieldName('arguments')
    if (!type) throw new Unreadable('a creation without the expected part')
    const args = given ? children(given).filter((child) => !['(', ')', ','].includes(child.type)) : []
    return `new ${this.value(type, true)}(${args.map((child) => this.value(child, true)).join(', ')})`
  }
}

const children = (node: Node): Node[] => node.children.filter((child) => child !== null)
