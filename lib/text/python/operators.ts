import type { BinaryOperator } from './ast.js'

type Level = 'or' | 'and' | 'not' | 'compare' | readonly BinaryOperator[]

/** Operators from the loosest to the tightest (docs.python.org/3.11/reference/expressions.html#operator-precedence); `**` binds tighter. */
export const levels: readonly Level[] = [
  'or',
  'and',
  'not',
  'compare',
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '//', '%', '@'],
]

const comparisons = new Set(['==', '!=', '<', '<=', '>', '>=', 'in', 'is'])

/** The comparison that two tokens begin with, or null. */
export function comparison(first: string, second: string): string | null {
  if (first === 'not') return second === 'in' ? 'not in' : null
  if (first === 'is' && second === 'not') return 'is not'
  return comparisons.has(first) ? first : null
}

const levelOf = new Map<string, number>()
for (const [level, operators] of levels.entries()) {
  for (const operator of typeof operators === 'string' ? [operators] : operators) levelOf.set(operator, level)
}
levelOf.delete('not') // a prefix
levelOf.delete('compare')

/** The level of the operator that stands between two operands and begins with these two tokens, -1 where none does. */
export function operatorLevel(first: string, second: string): number {
  return levelOf.get(first) ?? (comparison(first, second) === null ? -1 : levels.indexOf('compare'))
}
