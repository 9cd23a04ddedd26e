// What the evaluations of all benchmarks share: their settings, and the way from questions to judged answers.

import { type AnswerStore, askAll } from './answer-store.js'
import type { Answer, Asker, AskProgress, Question } from './asker.js'
import type { Handler } from './tool-calls.js'

export interface BenchmarkSettings {
  handler: Handler
  /** Under `qwen-fc`: functions go to the endpoint as native tools, its own calls are what is judged. Default false. */
  native?: boolean
  /** At most so many questions of each category. */
  limit?: number
  store?: AnswerStore
  onProgress?: (progress: AskProgress) => void
  signal?: AbortSignal
}

/** A benchmark's part of a run. */
export interface Judging<Q, J> {
  /** A question in the handler's form, with an id that no other one has. */
  ask(question: Q): Question
  judge(question: Q, answer: Answer): J
}

/** Judged answers by category, in the data set's order. */
export interface JudgedRun<C, J extends { answer: Answer }> {
  judged: ReadonlyMap<C, readonly J[]>
  /** Answers that were stored before and not asked again. */
  stored: number
  /** Questions that the model could not be asked: counted as wrong. */
  unasked: readonly J[]
}

/**
 * Asks every question in one request and judges the answers. Stored answers are not asked again; the verdicts are computed from the answers
 * each time.
 */
export async function askAndJudge<C, Q extends { category: C }, J extends { answer: Answer }>(
  asker: Asker,
  questions: ReadonlyMap<C, readonly Q[]>,
  { limit, store, onProgress, signal }: BenchmarkSettings,
  { ask, judge }: Judging<Q, J>,
): Promise<JudgedRun<C, J>> {
  const picked = [...questions.values()].flatMap((list) => list.slice(0, limit))
  const { answers, stored } = await askAll(asker, picked.map(ask), { store, onProgress, signal })
  const judged = new Map<C, J[]>()
  for (const [i, question] of picked.entries()) {
    const list = judged.get(question.category) ?? []
    judged.set(question.category, list)
    list.push(judge(question, answers[i]!))
  }
  const unasked = [...judged.values()].flat().filter(({ answer }) => answer.error !== undefined)
  return { judged, stored, unasked }
}
