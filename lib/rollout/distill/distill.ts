import type { Example } from '../../data/example.js'
import { fail } from '../../errors.js'
import { type AskOptions, type Endpoint, unansweredError } from '../endpoint/endpoint.js'
import { runPool } from '../endpoint/pool.js'
import { judgeAnswer, type LessonForm, type RejectionReason } from './judge.js'

export interface DistillSettings extends AskOptions {
  form: LessonForm
  /** Answers asked for until one is right. */
  tries: number
  /** Tokens an answer may have. */
  maxTokens: number
  temperature: number
  topP?: number
  /** Try k is drawn with seed + k, where the server takes seeds. Default: none is sent. */
  seed?: number
}

/** What became of one example. */
export interface Lesson {
  id: string
  /** What SFT shall teach; null where no try was right. */
  reply: string | null
  /** Answers that were not, in order. */
  rejected: { reason: RejectionReason; explain: string }[]
}

/** Counts over lessons. */
export interface DistillStats {
  examples: number
  kept: number
  /** Kept by the first try, the second, … */
  keptByTry: number[]
  /** Answers that were looked at. */
  answers: number
  rejectedAnswers: Partial<Record<RejectionReason, number>>
  /** Examples without a right answer, by what was wrong with the last one. */
  rejectedExamples: Partial<Record<RejectionReason, number>>
}

/**
 * Asks a teacher until its reply is right, `tries` times at most, example by example, in their order. Tries of an example follow one
 * another, so that none is paid for behind a right one. The same stored answers give the same lessons.
 *
 * @throws Error `ERR_DATA` where an example has no truth, `ERR_UNANSWERED` where examples stay open once the others are done; what
 *   {@link Endpoint.ask} throws
 */
export async function distill(
  teacher: Pick<Endpoint, 'ask' | 'concurrency'>,
  examples: readonly Example[],
  settings: DistillSettings,
): Promise<Lesson[]> {
  const { form, tries, seed, onProgress, signal, ...sampling } = settings
  if (!(Number.isInteger(tries) && tries >= 1)) {
    fail('RangeError', 'ERR_CONFIG', `[distill] expected tries to be a whole number of at least 1, got ${tries}`)
  }
  const unanswered: Error[] = []
  let done = 0
  const lessonOf = async ({ id, messages, tools, truth }: Example): Promise<Lesson> => {
    if (truth === undefined)
      return fail('Error', 'ERR_DATA', `[distill] expected example "${id}" to have right calls, got none`)
    const rejected: Lesson['rejected'] = []
    for (let sample = 0; sample < tries; sample++) {
      const seeded = seed === undefined ? {} : { seed: seed + sample }
      const outcome = await teacher.ask({ messages, tools, ...sampling, ...seeded, sample }, signal)
      const { reply, reason, explain } = judgeAnswer(outcome, truth, form)
      if (reply !== null) return { id, reply, rejected }
      rejected.push({ reason, explain })
      // The same request would be refused again.
      if (reason === 'refused') break
      signal?.throwIfAborted()
    }
    return { id, reply: null, rejected }
  }
  const lessons = await runPool(
    examples,
    teacher.concurrency,
    async (example) => {
      const lesson = await lessonOf(example).catch((error: Error & { code?: string }) => {
        if (error.code !== 'ERR_UNANSWERED') throw error
        unanswered.push(error)
        return null
      })
      onProgress?.({ done: ++done, total: examples.length })
      return lesson
    },
    signal,
  )
  if (unanswered.length > 0) throw unansweredError(unanswered, examples.length)
  return lessons as Lesson[]
}

/** Counts by reason. */
export function distillStats(lessons: readonly Lesson[]): DistillStats {
  const stats: DistillStats = {
    examples: lessons.length,
    kept: 0,
    keptByTry: [],
    answers: 0,
    rejectedAnswers: {},
    rejectedExamples: {},
  }
  const add = (counts: DistillStats['rejectedAnswers'], reason: RejectionReason) => {
    counts[reason] = (counts[reason] ?? 0) + 1
  }
  for (const { reply, rejected } of lessons) {
    stats.answers += rejected.length + (reply === null ? 0 : 1)
    for (const { reason } of rejected) add(stats.rejectedAnswers, reason)
    const last = rejected.at(-1)
    if (reply === null && last) add(stats.rejectedExamples, last.reason)
    if (reply === null) continue
    stats.kept++
    while (stats.keptByTry.length <= rejected.length) stats.keptByTry.push(0)
    stats.keptByTry[rejected.length]!++
  }
  return stats
}
