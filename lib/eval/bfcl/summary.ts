// A report as rows for people: categories with intervals, and the paper's table with ours in it.

import { type Estimate, wilson } from '../intervals.js'
import { type PaperScores, paperScores } from './aggregate.js'
import { categories, categoryName, questionCount } from './categories.js'
import type { BfclReport } from './evaluate.js'
import { paperRows } from './paper.js'

export interface CategoryRow extends Estimate {
  name: string
  correct: number
  total: number
  /** Questions that the whole category has. */
  of: number
}

/** What was evaluated, in the tables' order, with Wilson's 95 % intervals. */
export function categoryRows({ counts, version }: BfclReport): CategoryRow[] {
  return categories.flatMap((category) => {
    const name = categoryName(category, version)
    const count = counts.get(name)
    if (!count) return []
    return [{ name, ...count, of: questionCount(category, version), ...wilson(count.correct, count.total) }]
  })
}

interface TextTable {
  header: string[]
  rows: string[][]
}

const share = (value: number | null) => (value === null ? '–' : (100 * value).toFixed(2))

export function categoryTable(report: BfclReport): TextTable {
  return {
    header: [`BFCL ${report.version}`, 'correct', 'of', '%', '95 % interval'],
    rows: categoryRows(report).map(({ name, correct, total, of, value, low, high }) => [
      name,
      String(correct),
      total === of ? String(total) : `${total} (of ${of})`,
      share(value),
      `${share(low)} to ${share(high)}`,
    ]),
  }
}

/** The paper's columns: S(imple), M(ultiple), P(arallel), PM, not live and live. */
export const paperColumns: readonly [title: string, key: keyof PaperScores][] = [
  ['NL-S', 'nonLiveSimple'],
  ['NL-M', 'nonLiveMultiple'],
  ['NL-P', 'nonLiveParallel'],
  ['NL-PM', 'nonLiveParallelMultiple'],
  ['L-S', 'liveSimple'],
  ['L-M', 'liveMultiple'],
  ['L-P', 'liveParallel'],
  ['L-PM', 'liveParallelMultiple'],
  ['Non-live', 'nonLive'],
  ['Live', 'live'],
  ['Overall', 'overall'],
  ['Live AST', 'liveAst'],
]

/** Table 2 of Tool-N1's paper with this model's row at the end; dashes where its categories were not all evaluated. */
export function paperTable(report: BfclReport): TextTable {
  const own = paperScores(report.counts, report.version)
  return {
    header: ['model', ...paperColumns.map(([title]) => title)],
    rows: [
      ...paperRows.map((row) => [row.model, ...paperColumns.map(([, key]) => row[key].toFixed(2))]),
      [report.model, ...paperColumns.map(([, key]) => share(own[key]))],
    ],
  }
}
