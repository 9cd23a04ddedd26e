// BFCL on a model: prompts out, answers in, verdicts, counts.

import { parseJson } from '../../text/json.js'
import type { PyDict } from '../../text/python/value.js'
import { fromJson } from '../../text/python/value.js'
import { type AnswerStore, askAll } from '../answer-store.js'
import type { Answer, Asker, AskProgress } from '../asker.js'
import type { Counts } from './aggregate.js'
import { type BfclVersion, type Category, categoryName, languageOf } from './categories.js'
import { type Decoded, judge } from './check.js'
import type { BfclDataset } from './dataset.js'
import { decodeAnswer, type Handler, loadGrammars } from './decode.js'
import { bfclQuestion } from './prompts.js'
import type { BfclQuestion, Verdict } from './types.js'

export interface BfclSettings {
  handler: Handler
  /** Under `qwen-fc`: tools go to the endpoint natively, its own calls are what is judged. Default false. */
  native?: boolean
  /** At most so many questions of each category. */
  limit?: number
  store?: AnswerStore
  onProgress?: (progress: AskProgress) => void
  signal?: AbortSignal
}

/** One question, answered and judged. */
export interface Judged {
  question: BfclQuestion
  answer: Answer
  /** What the decoder was given: the answer without a thought in front, where the handler takes that off. */
  text: string
  decoded: Decoded
  verdict: Verdict
}

export interface BfclReport {
  model: string
  version: BfclVersion
  handler: Handler
  judged: Map<Category, Judged[]>
  /** By the version's category names. */
  counts: Counts
  /** Answers that were stored before and not asked again. */
  stored: number
  /** Questions that the model could not be asked: counted as wrong. */
  unasked: Judged[]
}

/**
 * Asks every question of the data set in one request and judges the answers. Stored answers are not asked again; the verdicts are computed
 * from the answers each time.
 */
export async function evaluateBfcl(asker: Asker, dataset: BfclDataset, settings: BfclSettings): Promise<BfclReport> {
  const { handler, native = false, limit, store, onProgress, signal } = settings
  const { version } = dataset
  const picked = [...dataset.questions].flatMap(([, questions]) => questions.slice(0, limit))
  const ids = uniqueIds(picked)
  const asked = picked.map((question, i) => ({ ...bfclQuestion(question, { handler, version, native }), id: ids[i]! }))
  if (handler === 'prompt') await loadGrammars()
  const { answers, stored } = await askAll(asker, asked, {
    ...(store && { store }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  })
  const judged = new Map<Category, Judged[]>()
  for (const [i, question] of picked.entries()) {
    const list = judged.get(question.category) ?? []
    judged.set(question.category, list)
    list.push(judgeAnswer(question, answers[i]!, { handler, version, native }))
  }
  return {
    model: asker.name,
    version,
    handler,
    judged,
    counts: countsOf(judged, version),
    stored,
    unasked: [...judged.values()].flat().filter(({ answer }) => answer.error !== undefined),
  }
}

/** One of version 3's ids stands for two questions. */
function uniqueIds(questions: readonly BfclQuestion[]): string[] {
  const seen = new Map<string, number>()
  return questions.map(({ id }) => {
    const times = (seen.get(id) ?? 0) + 1
    seen.set(id, times)
    return times === 1 ? id : `${id}~${times}`
  })
}

/** The verdict on an answer. Java and JavaScript under `prompt` need `loadGrammars()` before. */
export function judgeAnswer(
  question: BfclQuestion,
  answer: Answer,
  { handler, version, native = false }: { handler: Handler; version: BfclVersion; native?: boolean },
): Judged {
  const text = handler === 'tool-n1' ? answer.text : withoutThought(answer.text)
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
