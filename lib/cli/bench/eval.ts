// The questions of an evaluation asked together, as `callgrad eval` asks them, and one by one: what decoding together and computing the
// beginning that prompts share only once are worth. Both ways are one asker, given all questions or a single one at a time; after both, the
// answers are compared, which may not depend on the way.

import { fail } from '../../errors.js'
import { questionsOf } from '../../eval/asked.js'
import type { Answer, Question } from '../../eval/asker.js'
import { type AskedModel, ModelAsker } from '../../eval/model-asker.js'
import type { Model } from '../../model.js'
import type { GenerateRequest } from '../../rollout/types.js'
import { type EvalRun, parseEvalRun } from '../../train/config.js'
import { openExamples } from '../examples.js'
import { openModel } from '../inputs.js'
import { settingsOf } from '../options.js'
import { type BenchModelOptions, peakRss } from './common.js'

export interface BenchEvalOptions extends BenchModelOptions {
  /** Questions, as `callgrad eval` reads them. */
  data: string
  /** Most questions, from the first on. */
  questions: number
  /** Tokens that an answer may have; default that of `callgrad eval`. */
  maxTokens?: number | undefined
  promptFormat?: string | undefined
  /** So many questions, evenly spaced, are asked one by one, and the time of all is extrapolated. Default: all. */
  oneByOne?: number | undefined
  /** Memory for keys and values; default that of `callgrad eval`. */
  kvMemory?: string | undefined
  onProgress?: (way: Way, done: number, total: number) => void
}

type Way = 'together' | 'one by one'

export interface BenchEvalResult {
  model: string
  dtype: string
  device: string
  prompt_format: string
  max_tokens: number
  /** Questions asked together. */
  questions: number
  /** Questions whose prompt leaves no room for an answer: in no other figure. */
  unasked: number
  prompt_tokens: number
  answer_tokens: number
  /** Prompt tokens computed when all are asked together. A prompt's last one is none of them: it begins the answer. */
  prefilled_tokens: number
  /** Prompt tokens not computed, for the prompt before begins with them, too. */
  reused_tokens: number
  batched_s: number
  /** Tokens of answers in a second of the whole, prompts and rendering included. */
  batched_tok_s: number
  /** Questions asked one by one. */
  one_by_one_questions: number
  /** Seconds for all questions one by one. */
  one_by_one_s: number
  one_by_one_tok_s: number
  /** `one_by_one_s` is made from the seconds of fewer questions. */
  extrapolated: boolean
  /** How many times as long one by one takes. */
  ratio: number
  /** Questions, of those asked both ways, whose two answers are not the same text. */
  different_answers: number
  peak_rss_gb: number
}

/**
 * Times both ways on the first questions of a data set, after one short answer that is not measured.
 *
 * @throws what opening model and data throws; Error `ERR_DATA` where no question can be asked
 */
export async function benchEval(options: BenchEvalOptions): Promise<BenchEvalResult> {
  const { model: path, device, data, questions, maxTokens: maxCompletionLength, promptFormat, kvMemory } = options
  const dtype = options.dtype === 'f32' ? 'fp32' : options.dtype
  const dataset = { path: data, limit: questions }
  const run = parseEvalRun(
    settingsOf(undefined, { model: path, device, dtype, dataset, maxCompletionLength, promptFormat, kvMemory }),
  )
  const { examples } = await openExamples(run.dataset, run)
  const model = await openModel(run)
  try {
    const asked = examples.filter(({ truth }) => truth !== undefined)
    return await measure(model, questionsOf(asked), run, options)
  } finally {
    model.dispose()
  }
}

async function measure(
  model: Model,
  all: readonly Question[],
  run: EvalRun,
  { oneByOne, onProgress }: BenchEvalOptions,
): Promise<BenchEvalResult> {
  await ask(model, { ...run, maxCompletionLength: 2 }, [all.slice(0, 1)])
  const together = await ask(model, run, [all], (done) => onProgress?.('together', done, all.length))
  const asked = all.filter(({ id }) => together.answers.has(id))
  const count = asked.length
  if (count === 0) fail('Error', 'ERR_DATA', `[bench] expected questions that can be asked, got none of ${all.length}`)
  const picked = spaced(asked, oneByOne ?? count)
  const alone = await ask(
    model,
    run,
    picked.map((question) => [question]),
    (done) => onProgress?.('one by one', done, picked.length),
  )
  const seconds = (alone.seconds * count) / picked.length
  const promptTokens = total(together, 'promptTokens')
  return {
    model: run.model,
    dtype: model.dtype,
    device: `${model.device.name}: ${model.device.description}`,
    prompt_format: run.promptFormat,
    max_tokens: run.maxCompletionLength,
    questions: count,
    unasked: all.length - count,
    prompt_tokens: promptTokens,
    answer_tokens: total(together, 'completionTokens'),
    prefilled_tokens: together.prefilled,
    reused_tokens: promptTokens - count - together.prefilled,
    batched_s: together.seconds,
    batched_tok_s: total(together, 'completionTokens') / together.seconds,
    one_by_one_questions: picked.length,
    one_by_one_s: seconds,
    one_by_one_tok_s: total(alone, 'completionTokens') / alone.seconds,
    extrapolated: picked.length < count,
    ratio: seconds / together.seconds,
    different_answers: picked.filter(({ id }) => !same(together.answers.get(id), alone.answers.get(id))).length,
    ...peakRss(),
  }
}

interface Pass {
  /** By id; questions that could not be asked have none. */
  answers: Map<string, Answer>
  seconds: number
  /** Prompt tokens computed. */
  prefilled: number
}

/** Asks one request after the other, each with its questions together. */
async function ask(
  { tokenizer, config, engine }: AskedModel,
  { maxCompletionLength: maxTokens, temperature, topK, topP, minP, seed, kvMemory, model: name }: EvalRun,
  requests: readonly (readonly Question[])[],
  onAnswered?: (done: number) => void,
): Promise<Pass> {
  let prefilled = 0
  const generate = (request: GenerateRequest) =>
    engine.generate({
      ...request,
      onStats: ({ prefillTokens }) => {
        prefilled += prefillTokens
      },
    })
  const sampling = { temperature, topK, topP, minP, ...(seed !== undefined && { seed }) }
  const asker = new ModelAsker({ tokenizer, config, engine: { generate } }, { name, maxTokens, kvMemory, ...sampling })
  const answers = new Map<string, Answer>()
  const start = performance.now()
  for (const questions of requests) {
    await asker.ask(questions, {
      onAnswer(answer) {
        if (answer.error !== undefined) return
        answers.set(answer.id, answer)
        onAnswered?.(answers.size)
      },
    })
  }
  return { answers, seconds: (performance.now() - start) / 1000, prefilled }
}

/** So many of a list, from all parts of it. */
function spaced<T>(list: readonly T[], wanted: number): T[] {
  const count = Math.min(wanted, list.length)
  return Array.from({ length: count }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / count)]!)
}

const total = ({ answers }: Pass, key: 'promptTokens' | 'completionTokens') =>
  [...answers.values()].reduce((sum, answer) => sum + answer[key], 0)

const same = (a: Answer | undefined, b: Answer | undefined) =>
  a?.text === b?.text && a?.completionTokens === b?.completionTokens
