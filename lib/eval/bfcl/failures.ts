import { printJson } from '../../text/json-print.js'
import { pyRepr } from '../../text/python/repr.js'
import { type FailureEntry, shownAnswer } from '../failures-page.js'
import { categoryName, isRelevance } from './categories.js'
import type { BfclReport, Judged } from './evaluate.js'
import type { BfclQuestion } from './types.js'

/** Every failed question of a report, in the tables' order. */
export function failuresOf(report: BfclReport): FailureEntry[] {
  return [...report.judged.values()].flat().flatMap((judged) => {
    return judged.verdict.valid ? [] : [failure(judged, report)]
  })
}

function failure({ question, answer, verdict }: Judged, { version }: BfclReport): FailureEntry {
  return {
    id: question.id,
    category: categoryName(question.category, version),
    errorType: verdict.errorType ?? '',
    reasons: verdict.errors,
    question: question.messages.map(({ role, content }) => `${role}: ${content}`).join('\n\n'),
    answer: shownAnswer(answer),
    expected: shownTruth(question),
    more: [{ title: 'Functions', text: question.functions.map((description) => printJson(description)).join('\n\n') }],
  }
}

/** The right answer, to be read. */
export function shownTruth({ category, possibleAnswer }: BfclQuestion): string {
  if (!isRelevance(category)) return Array.isArray(possibleAnswer) ? possibleAnswer.map(pyRepr).join('\n') : ''
  return category === 'live_relevance' ? 'a call' : 'no call'
}
