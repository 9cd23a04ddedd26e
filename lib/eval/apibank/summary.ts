// A report as rows for people: both rules with intervals, where they differ, the paper's figures; and its failures.

import { printJson } from '../../text/json-print.js'
import { type FailureEntry, shownAnswer } from '../failures-page.js'
import { type Estimate, wilson } from '../intervals.js'
import type { ApiBankReport, Judged } from './evaluate.js'

/** A set of questions under both rules. */
export interface Row {
  name: string
  total: number
  portable: Estimate & { correct: number }
  official: Estimate & { correct: number }
  /** Right by the portable rule alone, and by the official one alone. */
  onlyPortable: number
  onlyOfficial: number
  /** Questions whose right call the official code does not accept. */
  unreachable: number
}

/** Each category, the second also without what ToolRL leaves out (searches, calls that stand twice), and all questions together. */
export function rows({ judged }: ApiBankReport): Row[] {
  const all = [...judged.values()].flat()
  const level2 = judged.get('retrieve+call')
  const calls = level2?.filter(({ question }) => question.right.name !== 'ToolSearcher' && !question.duplicate)
  return [
    ...[...judged].map(([category, list]) => row(category, list)),
    ...(calls && calls.length > 0 ? [row('retrieve+call, calls only', calls)] : []),
    ...(judged.size > 1 ? [row('all', all)] : []),
  ]
}

function row(name: string, judged: readonly Judged[]): Row {
  const count = (holds: (item: Judged) => boolean) => judged.filter(holds).length
  const rate = (correct: number) => ({ correct, ...wilson(correct, judged.length) })
  return {
    name,
    total: judged.length,
    portable: rate(count(({ portable }) => portable)),
    official: rate(count(({ official }) => official.valid)),
    onlyPortable: count(({ portable, official }) => portable && !official.valid),
    onlyOfficial: count(({ portable, official }) => !portable && official.valid),
    unreachable: count(({ official }) => official.error.startsWith('the official code accepts no call')),
  }
}

const percent = (value: number) => (100 * value).toFixed(2)

export function categoryTable(report: ApiBankReport): { header: string[]; rows: string[][] } {
  const interval = ({ low, high }: Estimate) => `${percent(low)} to ${percent(high)}`
  return {
    header: [
      'API-Bank',
      'of',
      'portable %',
      '95 % interval',
      'official %',
      '95 % interval',
      'only portable',
      'only official',
    ],
    rows: rows(report).map(({ name, total, portable, official, onlyPortable, onlyOfficial }) => [
      name,
      String(total),
      percent(portable.value),
      interval(portable),
      percent(official.value),
      interval(official),
      String(onlyPortable),
      String(onlyOfficial),
    ]),
  }
}

/** Figure 3a of Tool-N1's paper: call mode, by a rule that is not said. */
export const paperRows: readonly [model: string, percent: number][] = [
  ['Tool-N1-14B', 82.19],
  ['Tool-N1-7B', 81.28],
  ['GPT-4o', 77.16],
  ['GPT-4o-mini', 73.1],
  ['LLaMA-3.1-Base-8B', 60.41],
]

export function paperTable(report: ApiBankReport): { header: string[]; rows: string[][] } {
  const own = rows(report).find(({ name }) => name === 'call')
  const of = report.of.get('call') ?? 0
  const part = own && own.total < of ? ` (${own.total} of ${of} questions)` : ''
  const cells = own ? [percent(own.portable.value), percent(own.official.value)] : ['–', '–']
  return {
    header: ['model', 'call (paper’s rule)', 'portable', 'official'],
    rows: [
      ...paperRows.map(([model, value]) => [model, value.toFixed(2), '–', '–']),
      [`${report.model}${part}`, '–', ...cells],
    ],
  }
}

/** Every question that one of the rules finds wrong. */
export function failuresOf({ judged }: ApiBankReport): FailureEntry[] {
  return [...judged.values()].flat().flatMap((item) => (item.portable && item.official.valid ? [] : [failure(item)]))
}

function failure({ question, answer, portable, difference, official }: Judged): FailureEntry {
  const verdict = (valid: boolean, reason: string) => (valid ? 'right' : `wrong: ${reason}`)
  return {
    id: question.id,
    category: question.category,
    errorType: `${portable ? 'right' : 'wrong'} / ${official.errorType ?? 'right'}`,
    reasons: [
      `by the portable rule ${verdict(portable, difference)}`,
      `by the official rule ${verdict(official.valid, official.error)}`,
    ],
    question: question.input,
    answer: shownAnswer(answer),
    expected: question.expected,
    more: [{ title: 'APIs', text: question.apis.map((api) => printJson(api)).join('\n\n') }],
  }
}
