// BFCL on a model: prompts out, answers in, verdicts, counts.

import { parseJson } from '../../text/json.js'
import type { PyDict } from '../../text/python/value.js'
import { fromJson } from '../../text/python/value.js'
import type { Answer, Asker } from '../asker.js'
import { askAndJudge, type BenchmarkSettings, type JudgedRun } from '../benchmark.js'
import { type Handler, isToolN1 } from '../tool-calls.js'
import type { Counts } from './aggregate.js'
import { type BfclVersion, type Category, categoryName, languageOf } from './categories.js'
import { type Decoded, judge } from './check.js'
import type { BfclDataset } from './dataset.js'
import { decodeAnswer, loadGrammars } from './decode.js'
import { bfclQuestion } from './prompts.js'
import type { BfclQuestion, Verdict } from './types.js'

/** One question, answered and judged. */
export interface Judged {
  question: BfclQuestion
  answer: Answer
  /** What the decoder was given: the answer without a thought in front, where the handler takes that off. */
  text: string
  decoded: Decoded
  verdict: Verdict
}

export interface BfclReport extends JudgedRun<Category, Judged> {
  model: string
  version: BfclVersion
  handler: Handler
  /** By the version's category names. */
  counts: Counts
}

/**
 * Asks every question of the data set in one request and judges the answers. Stored answers are not asked again; the verdicts are computed
 * from the answers each time.
 */
export async function evaluateBfcl(
  asker: Asker,
  dataset: BfclDataset,
  settings: BenchmarkSettings,
): Promise<BfclReport> {
  const { handler, native = false } = settings
  const { version } = dataset
  const unique = uniqueIds()
  if (handler === 'prompt') await loadGrammars()
  const run = await askAndJudge(asker, dataset.questions, settings, {
    ask: (question: BfclQuestion) => ({
      ...bfclQuestion(question, { handler, version, native }),
      id: unique(question.id),
    }),
    judge: (question, answer) => judgeAnswer(question, answer, { handler, version, native }),
  })
  return { ...run, model: asker.name, version, handler, counts: countsOf(run.judged, version) }
}

/** One of version 3's ids stands for two questions: the second time it gets a number behind. */
function uniqueIds(): (id: string) => string {
  const seen = new Map<string, number>()
  return (id) => {
    const times = (seen.get(id) ?? 0) + 1
    seen.set(id, times)
    return times === 1 ? id : `${id}~${times}`
  }
}

/** The verdict on an answer. Java and JavaScript under `prompt` need `loadGrammars()` before. */
export function judgeAnswer(
  question: BfclQuestion,
  answer: Answer,
  { handler, version, native = false }: { handler: Handler; version: BfclVersion; native?: boolean },
): Judged {
  const text = isToolN1(handler) ? answer.text : withoutThought(answer.text)
  if (answer.error !== undefined) {
    const verdict = { valid: false, errorType: 'inference:not_asked', errors: [answer.error] }
    return { question, answer, text, decoded: { failure: answer.error }, verdict }
  }
  const decoded =
    native && answer.calls
      ? decodeNative(answer.calls)
      : decodeAnswer(text, handler, languageOf(question.category), version)
  return { question, answer, text, decoded, verdict: judge(question, decoded, { underscoreToDot: native }) }
}

/** Behind the last end of a thought; the official handlers of thinking models cut there. */
function withoutThought(text: string): string {
  const end = text.lastIndexOf('</think>')
  return end < 0 ? text : text.slice(end + '</think>'.length).replace(/^\n+/, '')
}

/** Calls as an endpoint reports them. */
function decodeNative(calls: readonly { name: string; arguments: string }[]): Decoded {
  const value: PyDict[] = []
  for (const { name, arguments: source } of calls) {
    try {
      value.push(new Map([[name, fromJson(parseJson(source, 'python'))]]))
    } catch (error) {
      return { failure: `the arguments of ${name} are no JSON: ${(error as Error).message}` }
    }
  }
  return { value }
}

function countsOf(judged: ReadonlyMap<Category, readonly Judged[]>, version: BfclVersion): Counts {
  return new Map(
    [...judged].map(([category, list]) => [
      categoryName(category, version),
      { correct: list.filter(({ verdict }) => verdict.valid).length, total: list.length },
    ]),
  )
}
