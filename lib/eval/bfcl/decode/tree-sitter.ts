// Java and JavaScript source to syntax trees, by tree-sitter's grammars compiled to WebAssembly.
//
// BFCL asks one thing of a tree before it reads it: that no node is an ERROR. A clean parse takes time in proportion to the text (16 KB:
// 20 ms). Recovery from errors does not (10 KB of quotes: 6 s), and only tells whether a missing token can be made up, so that it is granted
// to short texts alone. Longer ones end with their first error; where tree-sitter does not report one in time (it often does not), the
// processor time that no clean parse needs ends them.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Node, Parser, Tree } from '@vscode/tree-sitter-wasm'

export type { Node } from '@vscode/tree-sitter-wasm'

/** UTF-16 units. The longest right answer of the benchmark has 500. */
const longestSource = 16_384
/** Texts up to here are parsed to the end where they have errors. */
const longestRecovered = 1_024
/** Brackets inside brackets; CPython's recursion limit stops BFCL's own reader of the tree before 1000 levels. */
const deepest = 200
/** Of processor time, in milliseconds. It is looked at once a parse has taken `usualParse`: asking costs as much as half a call's parse. */
const longestParse = 300
const usualParse = 20
const chunk = 256

/** A parser a language: to change a parser's language costs more than a short parse. */
type Grammars = Record<'java' | 'javascript', Parser>

let grammars: Promise<Grammars> | null = null
let loaded: Grammars | null = null

/** Loads both grammars, once. {@link parseSource} works from then on. */
export async function loadGrammars(): Promise<void> {
  grammars ??= load()
  loaded = await grammars
}

async function load(): Promise<Grammars> {
  const { default: treeSitter } = await import('@vscode/tree-sitter-wasm')
  const folder = dirname(createRequire(import.meta.url).resolve('@vscode/tree-sitter-wasm'))
  await treeSitter.Parser.init()
  const open = async (name: string) => {
    const language = await treeSitter.Language.load(join(folder, `tree-sitter-${name}.wasm`))
    return new treeSitter.Parser().setLanguage(language)
  }
  const [java, javascript] = await Promise.all([open('java'), open('javascript')])
  return { java, javascript }
}

/**
 * What `read` makes of the tree of a text without errors; null where the text has some.
 *
 * @throws Error before {@link loadGrammars}
 */
export function parseSource<T>(source: string, language: 'java' | 'javascript', read: (root: Node) => T): T | null {
  if (loaded === null) throw new Error('expected loadGrammars() to come first')
  if (source.length > longestSource || tooDeep(source)) return null
  const parser = loaded[language]
  // Java statements end with a semicolon that calls come without: one more makes a whole call a clean parse.
  const tree = clean(parser, language === 'java' ? `${source}\n;` : source) ?? recovered(parser, source)
  if (tree === null) return null
  try {
    return read(tree.rootNode)
  } finally {
    tree.delete()
  }
}

/** The tree of a text without errors; null at the first one. */
const clean = (parser: Parser, text: string) => unless((tree) => tree.rootNode.hasError, parse(parser, text, true))

/** The tree of a text whose errors are missing tokens alone. */
const recovered = (parser: Parser, source: string) =>
  source.length <= longestRecovered ? unless(hasError, parse(parser, source, false)) : null

function unless(wrong: (tree: Tree) => boolean, tree: Tree | null): Tree | null {
  if (tree === null || !wrong(tree)) return tree
  tree.delete()
  return null
}

/** The tree; null where the watch stopped the parser. */
function parse(parser: Parser, text: string, stopAtError: boolean): Tree | null {
  const input = (index: number) => text.slice(index, index + chunk)
  const tree = parser.parse(input, null, { progressCallback: watch(stopAtError) })
  if (tree === null) parser.reset() // else the next text would go on where this one stopped
  return tree
}

/** Stops at the first error, where it is to, and where the time is spent. */
function watch(stopAtError: boolean): (state: { hasError: boolean }) => void {
  const began = performance.now()
  let slowSince: NodeJS.CpuUsage | null = null
  const spent = () => {
    if (performance.now() - began < usualParse) return false
    slowSince ??= process.cpuUsage()
    const { user, system } = process.cpuUsage(slowSince)
    return user + system > longestParse * 1000
  }
  // declared to return nothing; the parser stops where it is true
  return ({ hasError }) => ((stopAtError && hasError) || spent()) as unknown as undefined
}

/** Whether some node is an ERROR; a token that is missing is none. */
function hasError(tree: Tree): boolean {
  if (!tree.rootNode.hasError) return false
  const cursor = tree.walk()
  try {
    for (;;) {
      if (cursor.nodeType === 'ERROR') return true
      if (cursor.gotoFirstChild() || cursor.gotoNextSibling()) continue
      do {
        if (!cursor.gotoParent()) return false
      } while (!cursor.gotoNextSibling())
    }
  } finally {
    cursor.delete()
  }
}

function tooDeep(source: string): boolean {
  let depth = 0
  for (let i = 0; i < source.length; i++) {
    const c = source[i]!
    if ('([{<'.includes(c) && ++depth > deepest) return true
    if (')]}>'.includes(c) && depth > 0) depth--
  }
  return false
}
