// Result sets as the figures that papers and leaderboards print.

import { type CategoryScore, scoreCategory } from '../acebench/aggregate.js'
import { categories as aceCategories, type Category, isCategory } from '../acebench/categories.js'
import * as ace from '../acebench/summary.js'
import { paperRows as apiBankPaper } from '../apibank/summary.js'
import { paperScores } from '../bfcl/aggregate.js'
import { categories as bfclCategories, findCategory } from '../bfcl/categories.js'
import { paperRows as bfclPaper } from '../bfcl/paper.js'
import { paperColumns as bfclColumns } from '../bfcl/summary.js'
import { type Estimate, meanEstimate, wilson } from '../intervals.js'
import type { Benchmark, JudgedQuestion, ResultSet } from './types.js'

/** The columns of a benchmark's table with the rows that Tool-N1's paper prints; shares, null where there is none. */
export interface PaperTable {
  columns: readonly string[]
  rows: readonly { model: string; values: readonly (number | null)[] }[]
  /** What a reader has to know to compare. */
  note: string
}

/** Null where the paper has no such benchmark. */
export function paperTableOf(benchmark: Benchmark): PaperTable | null {
  if (benchmark === 'bfcl') {
    return {
      columns: bfclColumns.map(([title]) => title),
      rows: bfclPaper.map((row) => ({ model: row.model, values: bfclColumns.map(([, key]) => row[key] / 100) })),
      note: 'S simple, M multiple, P parallel, PM parallel multiple; NL not live, L live. Live of the paper’s own models is Live AST. A dash: not all categories of the column were asked.',
    }
  }
  if (benchmark === 'acebench') {
    return {
      columns: ace.paperColumns,
      rows: ace.paperRows.map(([model, ...shares]) => ({ model, values: [...shares, null, null] })),
      note: '“Both” is the mean of the eight atom and single-turn categories, which fits the paper’s baselines; how the paper made its figures is not published. A dash: not all categories of the column were asked.',
    }
  }
  if (benchmark === 'api-bank') {
    return {
      columns: ['call (paper’s rule)', 'call, portable', 'call, official'],
      rows: apiBankPaper.map(([model, percent]) => ({ model, values: [percent / 100, null, null] })),
      note: 'The paper’s rule is not published: compare with care.',
    }
  }
  return null
}

/** The model's shares under the columns of {@link paperTableOf}. */
export function paperValues({ benchmark, version = 'v4', questions }: ResultSet): (number | null)[] {
  const byCategory = groupByCategory(questions)
  if (benchmark === 'bfcl') {
    const counts = new Map([...byCategory].map(([name, list]) => [name, { correct: right(list), total: list.length }]))
    const scores = paperScores(counts, version)
    return bfclColumns.map(([, key]) => scores[key])
  }
  if (benchmark === 'acebench') {
    const scores = new Map<Category, CategoryScore>()
    for (const [name, list] of byCategory) {
      const outcomes = list.map(({ id, right: valid }) => ({ id, valid }))
      if (isCategory(name)) scores.set(name, scoreCategory(name, outcomes))
    }
    return ace.paperFigures(scores)
  }
  const calls = byCategory.get('call')
  if (benchmark !== 'api-bank' || !calls) return benchmark === 'api-bank' ? [null, null, null] : []
  return [null, right(calls) / calls.length, calls.filter(({ official }) => official).length / calls.length]
}

const right = (questions: readonly JudgedQuestion[]) => questions.filter((question) => question.right).length

export function groupByCategory(questions: readonly JudgedQuestion[]): Map<string, JudgedQuestion[]> {
  const groups = new Map<string, JudgedQuestion[]>()
  for (const question of questions) {
    const list = groups.get(question.category)
    if (list) list.push(question)
    else groups.set(question.category, [question])
  }
  return groups
}

/** The share of right answers with Wilson's interval. */
export const shareRight = (questions: readonly JudgedQuestion[]): Estimate => wilson(right(questions), questions.length)

/** Tokens of an answer, where the files tell; null where they do not. */
export function meanTokens(questions: readonly JudgedQuestion[]): Estimate | null {
  const lengths = questions.flatMap(({ tokens }) => (tokens === undefined ? [] : [tokens]))
  return lengths.length === 0 ? null : meanEstimate(lengths)
}

/** Categories in the benchmark's own order, others by name. */
export function orderedCategories(benchmark: Benchmark, names: Iterable<string>): string[] {
  const known: readonly string[] = benchmark === 'bfcl' ? bfclCategories : aceCategories
  const place = (name: string) => {
    const at = known.indexOf(benchmark === 'bfcl' ? (findCategory(name) ?? name) : name)
    return at < 0 ? known.length : at
  }
  return [...new Set(names)].sort((a, b) => place(a) - place(b) || (a < b ? -1 : Number(a > b)))
}
