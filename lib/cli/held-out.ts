// Evaluations on held-out examples, by this process's engine.

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Example } from '../data/example.js'
import { type Answerer, type EvalSettings, evaluate } from '../eval/evaluate.js'
import type { EvalReport } from '../eval/exact-match.js'
import type { Model } from '../model.js'
import type { RolloutProgress } from '../rollout/types.js'
import type { PromptFormat } from '../text/prompts/formats.js'
import type { Evaluate } from '../train/loop.js'
import type { EvalLine } from '../train/report/read.js'
import { questionOf } from './examples.js'
import { percent } from './ui/format.js'

export interface Asking {
  maxCompletionLength: number
  kvMemory: number
  temperature?: number
  topP?: number
  topK?: number
  minP?: number
  seed?: number
  /** Under `tool-n1-no-reason` a reply needs no thought to be right. */
  promptFormat?: PromptFormat
  onProgress?: (progress: RolloutProgress) => void
}

/** Asks every example once; prompts that leave no room for an answer are skipped. */
export function ask(model: Model, examples: readonly Example[], asking: Asking): Promise<EvalReport> {
  const { maxCompletionLength, kvMemory, promptFormat, onProgress, ...sampling } = asking
  const answerer: Answerer = {
    tokenizer: model.tokenizer,
    generate: ({ prompts, ...settings }) =>
      model.engine.generate({
        prompts,
        settings: { ...settings, stop: settings.stop ?? model.config.eosTokenIds, step: 0 },
        kvMemory,
        ...(onProgress && { onProgress }),
      }),
  }
  const settings: EvalSettings = {
    ...sampling,
    ...(promptFormat === 'tool-n1-no-reason' && { variant: 'v2' }),
    maxTokens: maxCompletionLength,
    stop: model.config.eosTokenIds,
    maxPromptTokens: model.config.maxPositionEmbeddings - maxCompletionLength,
  }
  return evaluate(answerer, examples, settings)
}

/** A line of eval.jsonl. */
function evalLine(label: string, report: EvalReport): EvalLine {
  const { samples, exactMatch, formatRate, nameRate, meanLength } = report
  return { label, n: samples, exactMatch, formatRate, nameRate, meanLength }
}

/** An answer beside its question, for tables. */
export interface Answer {
  id: string
  question: string
  truth: string
  text: string
  right: boolean
  explain: string
}

export interface Measured {
  line: EvalLine
  answers: Answer[]
}

/** {@link ask}, with a label and with the questions beside the answers. */
export async function measure(
  model: Model,
  examples: readonly Example[],
  asking: Asking & { label: string },
): Promise<Measured> {
  const { label, ...rest } = asking
  const report = await ask(model, examples, rest)
  const byId = new Map(examples.map((example) => [example.id, example]))
  const answers = report.replies.map(({ id, completion, exact, explain }) => {
    const example = byId.get(id)!
    return { id, question: questionOf(example), truth: example.truth ?? '', text: completion, right: exact, explain }
  })
  return { line: evalLine(label, report), answers }
}

/** What a trainer calls every `evalSteps`: greedy answers, rates with the ends of their intervals. */
export function trainerEvaluation(model: Model, examples: readonly Example[], asking: Asking): Evaluate {
  return async () => {
    const { exactMatch, formatRate, nameRate, meanLength, clippedRate } = await ask(model, examples, asking)
    return {
      exact_match: exactMatch.value,
      exact_match_low: exactMatch.low,
      exact_match_high: exactMatch.high,
      format_rate: formatRate.value,
      name_rate: nameRate.value,
      mean_length: meanLength.value,
      clipped_ratio: clippedRate.value,
    }
  }
}

/** Evaluations of a run: while it trains, and before and after, which go to eval.jsonl. */
export function heldOutStages(
  model: Model,
  examples: readonly Example[],
  {
    outputDir,
    view,
    run,
  }: {
    outputDir: string
    view: { show(text: string): void }
    run: { maxCompletionLength: number; kvMemory: number; promptFormat?: PromptFormat }
  },
) {
  const { maxCompletionLength, kvMemory, promptFormat } = run
  const asking = { maxCompletionLength, kvMemory, ...(promptFormat && { promptFormat }) }
  return {
    whileTraining: trainerEvaluation(model, examples, asking),
    async measure(label: string): Promise<void> {
      const { line } = await measure(model, examples, { label, ...asking })
      appendFileSync(join(outputDir, 'eval.jsonl'), `${JSON.stringify(line)}\n`)
      const { value, low, high } = line.exactMatch
      view.show(
        `  held out, ${label}: ${percent(value)} exact match (95 %: ${percent(low)} to ${percent(high)}, ${line.n} questions)`,
      )
    },
  }
}
