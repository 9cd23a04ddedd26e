import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { Variant } from '../reward/parse.js'
import { type AskAllOptions, askAll } from './answer-store.js'
import type { Asker, Question } from './asker.js'
import { type EvalReport, scoreReplies } from './exact-match.js'

/** {@link EvalReport}, and how many of its answers were stored before. */
export type AskedReport = EvalReport & { stored: number }

/** The questions that a model is asked of examples, in their order. */
export function questionsOf(examples: readonly Example[]): Question[] {
  return examples.map(({ id, messages, tools }) => ({ id, messages, ...(tools.length > 0 && { tools }) }))
}

/**
 * Asks every example with a truth once and scores the answers by exact match. Stored answers are not asked again; the scores are computed
 * each time. Examples without a truth, and those that could not be asked (a prompt too long), are skipped and listed.
 *
 * @throws Error `ERR_DATA` where nothing could be asked; what the asker throws
 */
export async function evaluateAsked(
  asker: Asker,
  examples: readonly Example[],
  { variant = 'v0', ...asking }: AskAllOptions & { variant?: Variant },
): Promise<AskedReport> {
  const asked = examples.filter((example) => example.truth !== undefined)
  const { answers, stored } = await askAll(asker, questionsOf(asked), asking)
  const answered = answers.flatMap(({ text, completionTokens, finishReason, error }, i) =>
    error === undefined
      ? [{ example: asked[i]!, completion: text, tokens: completionTokens, finishReason: endOf(finishReason) }]
      : [],
  )
  if (answered.length === 0) {
    const first = answers[0]?.error
    const why = first ? `; the first: ${first}` : ''
    fail(
      'Error',
      'ERR_DATA',
      `[eval] expected an example with a truth and a prompt within the limit, got none of ${examples.length}${why}`,
    )
  }
  const told = new Set(answered.map(({ example }) => example.id))
  const skipped = examples.filter(({ id }) => !told.has(id)).map(({ id }) => id)
  return { ...scoreReplies(answered, variant), skipped, stored }
}

const endOf = (reason: string) => (reason === 'length' ? ('length' as const) : ('stop' as const))
