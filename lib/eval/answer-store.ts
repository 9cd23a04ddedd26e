import { createHash } from 'node:crypto'
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { fail } from '../errors.js'
import type { Answer, Asker, AskProgress, Question } from './asker.js'

const answerSchema = z.object({
  id: z.string(),
  text: z.string(),
  calls: z.array(z.object({ name: z.string(), arguments: z.string() })).optional(),
  promptTokens: z.number(),
  completionTokens: z.number(),
  seconds: z.number(),
  finishReason: z.string(),
  error: z.string().optional(),
})
const lineSchema = z.object({ key: z.string(), answer: answerSchema })

/**
 * Answers on disk, one JSON line each, appended as they come: what was answered before a kill is not asked again. An answer belongs to
 * the digest of its question and of the asker's settings, so that a changed prompt or temperature never meets an old answer.
 */
export class AnswerStore {
  readonly #file: number
  readonly #answers = new Map<string, Answer>()

  /**
   * Opens or makes the file. A last line that a kill cut off is dropped; lines that are no answers are left alone and not used.
   *
   * @throws `ERR_IO` where it cannot be read or written
   */
  constructor(readonly path: string) {
    try {
      mkdirSync(dirname(path), { recursive: true })
      this.#file = openSync(path, 'a+')
      const bytes = readFileSync(path)
      const whole = bytes.lastIndexOf(0x0a) + 1
      if (whole < fstatSync(this.#file).size) ftruncateSync(this.#file, whole)
      for (const line of bytes.subarray(0, whole).toString('utf8').split('\n')) this.#read(line)
    } catch (error) {
      fail('Error', 'ERR_IO', `[eval] cannot keep answers in ${path}: ${(error as Error).message}`, error)
    }
  }

  get size(): number {
    return this.#answers.size
  }

  get(key: string): Answer | undefined {
    return this.#answers.get(key)
  }

  /** Stores an answer before it returns. One with `error` is not kept: it is asked again next time. */
  put(key: string, answer: Answer): void {
    if (answer.error !== undefined) return
    this.#answers.set(key, answer)
    writeSync(this.#file, `${JSON.stringify({ key, answer })}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }

  #read(line: string): void {
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      return
    }
    const read = lineSchema.safeParse(value)
    if (read.success) this.#answers.set(read.data.key, read.data.answer as Answer)
  }
}

/** What a stored answer goes by. */
function answerKey(question: Question, settings: string): string {
  const { id, messages, tools, prompt } = question
  return createHash('sha256')
    .update(JSON.stringify([settings, id, messages, tools ?? null, prompt ?? null]))
    .digest('base64url')
}

export interface AskAllOptions {
  store?: AnswerStore
  onProgress?: (progress: AskProgress) => void
  signal?: AbortSignal
}

/** Answers to all questions, in their order: from the store where it has them, asked and stored where it has not. */
export async function askAll(
  asker: Asker,
  questions: readonly Question[],
  { store, onProgress, signal }: AskAllOptions = {},
): Promise<{ answers: Answer[]; stored: number }> {
  const keys = new Map(questions.map((question) => [question.id, answerKey(question, asker.settings)]))
  if (keys.size !== questions.length) {
    fail(
      'Error',
      'ERR_DATA',
      `[eval] expected ${questions.length} questions to have different ids, got ${keys.size} ids`,
    )
  }
  const found = new Map<string, Answer>()
  for (const [id, key] of keys) {
    const answer = store?.get(key)
    if (answer) found.set(id, answer)
  }
  if (found.size > 0) asker.recall?.([...found.values()])
  const rest = questions.filter(({ id }) => !found.has(id))
  const stored = found.size
  if (rest.length > 0) {
    await asker.ask(rest, {
      onAnswer(answer) {
        found.set(answer.id, answer)
        store?.put(keys.get(answer.id)!, answer)
      },
      onProgress: (progress) =>
        onProgress?.({ ...progress, done: progress.done + stored, total: progress.total + stored }),
      ...(signal && { signal }),
    })
  }
  const answers = questions.map(({ id }) => {
    const answer = found.get(id)
    return answer ?? fail('Error', 'ERR_DATA', `[eval] expected an answer to ${id}, ${asker.name} gave none`)
  })
  return { answers, stored }
}
