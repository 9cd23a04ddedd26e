// A report as rows for people: categories with intervals, and the paper's figures with ours among them; and its failures.

import { printJson } from '../../text/json-print.js'
import { pyRepr } from '../../text/python/repr.js'
import { type FailureEntry, shownAnswer } from '../failures-page.js'
import { type Estimate, wilson } from '../intervals.js'
import { type CategoryScore, summarize } from './aggregate.js'
import { type Category, categories, groups, versions } from './categories.js'
import type { AceReport, Judged } from './evaluate.js'

export interface CategoryRow extends Estimate {
  name: Category
  correct: number
  total: number
  /** As the official tool rounds it; of whole dialogues in multi-turn categories. */
  accuracy: number
  process?: number
  /** By the code of the other version, on the same answers and data. */
  otherVersion: number
  /** Exactly right calls; null in special categories. */
  strict: number | null
}

/** What was evaluated, in the official order, with Wilson's 95 % intervals of the questions' share. */
export function categoryRows({ judged, scores, version }: AceReport): CategoryRow[] {
  return categories.flatMap((name) => {
    const score = scores[version].get(name)
    if (!score) return []
    const list = judged.get(name) ?? []
    const strict = name.startsWith('special') ? null : list.filter((item) => item.strict).length / list.length
    const other = versions.find((one) => one !== version) as typeof version
    const otherVersion = scores[other].get(name)?.accuracy ?? 0
    return [{ name, ...score, otherVersion, strict, ...wilson(score.correct, score.total) }]
  })
}

const share = (value: number | null | undefined) =>
  value === null || value === undefined ? '–' : (100 * value).toFixed(1)

export function categoryTable(report: AceReport): { header: string[]; rows: string[][] } {
  const other = versions.find((one) => one !== report.version)
  return {
    header: [`ACEBench ${report.version}`, 'correct', 'of', '%', '95 % interval', `% by ${other}`, '% strict'],
    rows: categoryRows(report).map((row) => [
      row.name,
      String(row.correct),
      String(row.total),
      share(row.accuracy),
      `${share(row.low)} to ${share(row.high)}`,
      share(row.otherVersion),
      share(row.strict),
    ]),
  }
}

/**
 * What Tool-N1's figure 3b shows, and the two means of ACEBench's own English leaderboard that its baselines come from. How the paper put
 * them together is not said; the mean of the eight categories fits each baseline.
 */
export const paperRows: readonly [model: string, atom: number | null, single: number | null, mean: number][] = [
  ['GPT-4o', 0.9, 0.78, 0.87],
  ['Tool-N1-14B', null, null, 0.86],
  ['Tool-N1-7B', null, null, 0.8234],
  ['GPT-4o-mini', 0.843, 0.735, 0.8163],
  ['Llama-3.1-8B-Inst', 0.51, 0.495, 0.5063],
]

export const paperColumns = ['atom', 'single turn', 'both (paper)', 'normal', 'special'] as const

/** The shares under {@link paperColumns}; null where not all of a column's categories were evaluated. */
export function paperFigures(scores: ReadonlyMap<Category, CategoryScore>): (number | null)[] {
  const summary = summarize(Object.fromEntries([...scores].map(([category, { accuracy }]) => [category, accuracy])))
  const whole = (group: string) => groups[group]?.every((category) => scores.has(category)) ?? false
  return [
    whole('atom') ? summary.atom : null,
    whole('single_turn') ? summary.single_turn : null,
    whole('tool-n1') ? summary.toolN1 : null,
    whole('normal') ? summary.normal : null,
    whole('special') ? summary.special : null,
  ]
}

/** The paper's rows and this model's; a dash where its categories were not all evaluated. */
export function paperTable(report: AceReport): { header: string[]; rows: string[][] } {
  const percent = (value: number | null) => (value === null ? '–' : (100 * value).toFixed(2))
  return {
    header: ['model', ...paperColumns],
    rows: [
      ...paperRows.map(([model, ...shares]) => [model, ...shares.map(percent), '–', '–']),
      [`${report.model}${part(report)}`, ...paperFigures(report.scores[report.version]).map(percent)],
    ],
  }
}

/** Says so where a limit left questions out. */
function part({ judged, of }: AceReport): string {
  const asked = [...judged.values()].flat().length
  return asked < of ? ` (${asked} of ${of} questions)` : ''
}

/** Every failed question, in the tables' order. */
export function failuresOf(report: AceReport): FailureEntry[] {
  return [...report.judged.values()].flat().flatMap((item) => {
    return item.verdicts[report.version].valid ? [] : [failure(item, report)]
  })
}

function failure({ question, answer, verdicts, strict }: Judged, { version }: AceReport): FailureEntry {
  const { errorType, error } = verdicts[version]
  const other = versions.find((one) => one !== version) as typeof version
  const note = verdicts[other].valid ? [`the code of ${other} accepts it`] : []
  return {
    id: question.id,
    category: question.category,
    errorType: errorType ?? '',
    reasons: [error, ...note, ...(strict ? ['it is exactly the right answer'] : [])],
    question: [question.time, question.profile, question.dialogue].filter((text) => text !== '').join('\n\n'),
    answer: shownAnswer(answer),
    expected: typeof question.truth === 'string' ? question.truth : pyRepr(question.truth),
    more: [{ title: 'Functions', text: question.functions.map((description) => printJson(description)).join('\n\n') }],
  }
}
