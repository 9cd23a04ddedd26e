import type { Constant } from './constants.js'

/** A Python expression, after CPython's `ast` (docs.python.org/3.11/library/ast.html). `depth`: levels of nodes below and including it. */
export type Expression = { depth: number } & (
  | { kind: 'constant'; value: Constant; unicodePrefix?: boolean }
  | { kind: 'name'; id: string }
  | { kind: 'attribute'; value: Expression; name: string }
  | { kind: 'subscript'; value: Expression; index: Expression }
  | { kind: 'slice'; lower: Expression | null; upper: Expression | null; step: Expression | null }
  | { kind: 'call'; callee: Expression; args: Expression[]; keywords: Keyword[] }
  | { kind: 'unary'; operator: UnaryOperator; operand: Expression }
  | { kind: 'binary'; operator: BinaryOperator; left: Expression; right: Expression }
  | { kind: 'boolean'; operator: 'and' | 'or'; values: Expression[] }
  | { kind: 'compare'; first: Expression; rest: { operator: string; value: Expression }[] }
  | { kind: 'conditional'; test: Expression; then: Expression; otherwise: Expression }
  | { kind: 'lambda'; parameters: Parameter[]; body: Expression }
  | { kind: 'list' | 'tuple' | 'set'; items: Expression[] }
  | { kind: 'dict'; entries: { key: Expression | null; value: Expression }[] }
  | {
      kind: 'comprehension'
      of: 'list' | 'set' | 'dict' | 'generator'
      item: Expression
      value: Expression | null
      clauses: Clause[]
    }
  | { kind: 'starred'; value: Expression }
  | { kind: 'assign'; target: Expression; value: Expression }
  | { kind: 'await'; value: Expression }
  | { kind: 'yield'; from: boolean; value: Expression | null }
  | { kind: 'fstring'; source: string }
)

/** `name` is null for `**value`. */
export interface Keyword {
  name: string | null
  value: Expression
}

/** A lambda's parameter; `/` and a bare `*` stand as parameters of that mark without a name. */
export interface Parameter {
  mark: '' | '*' | '**' | '/'
  name: string
  default: Expression | null
}

/** One `for` of a comprehension with the `if`s behind it. */
export interface Clause {
  isAsync: boolean
  target: Expression
  iterable: Expression
  conditions: Expression[]
}

export type UnaryOperator = '+' | '-' | '~' | 'not'
export type BinaryOperator = '+' | '-' | '*' | '@' | '/' | '%' | '<<' | '>>' | '|' | '^' | '&' | '//' | '**'
