// `callgrad train|sft CONFIG --plan`: what a run will do and need.

import { existsSync } from 'node:fs'
import { selectedRange } from '../../data/load.js'
import { fail } from '../../errors.js'
import { paramLayout } from '../../nn/param-layout.js'
import type { SFTRun, TrainRun } from '../../train/config.js'
import { type Advice, adviceFor } from '../../train/plan/fit.js'
import {
  answersAtOnce,
  leastKv,
  type MemoryParts,
  type MemorySettings,
  memoryParts,
  totalOf,
} from '../../train/plan/memory.js'
import {
  grpoLength,
  grpoTokens,
  type RunLength,
  sftLength,
  sftTokens,
  type TokenCounts,
} from '../../train/plan/tokens.js'
import { describeExamples, openExamples, withReplies } from '../examples.js'
import type { PlanFlags } from './flags.js'
import { type Measured, measureExamples, plannedModel } from './inputs.js'

/** A command's settings, checked. */
export type Planned = { kind: 'grpo'; run: TrainRun } | { kind: 'sft'; run: SFTRun }

export interface Plan {
  model: string
  architecture: string
  parameters: number
  dtype: 'f32' | 'bf16'
  /** After the data set's `part` and `limit`; null where the data is not here and `--examples` says nothing. */
  examples: number | null
  /** Where `--examples` told them: of how many, and by which settings; null where the data is here. */
  examplesFrom: string | null
  data: string
  heldOut: string | null
  length: RunLength | null
  /** Means, and where they come from. */
  promptTokens: { value: number; how: string }
  completionTokens: { value: number; how: string }
  tokens: TokenCounts | null
  memory: MemoryParts & { total: number }
  /** Longest answers that `kvMemory` holds together. */
  answersAtOnce: number | null
  throughput: number | null
  seconds: number | null
  deviceMemory: number | null
  /** What would fit, where this does not. */
  advice: Advice | null
  notes: string[]
}

const usualAnswer = 128

/**
 * Checks settings, data, rewards and architecture against each other and adds up what the run will take.
 *
 * @throws `ERR_CONFIG`, `ERR_DATA`, `ERR_IO` for what a training would stop at
 */
export async function makePlan(planned: Planned, flags: PlanFlags): Promise<Plan> {
  const { kind, run } = planned
  const model = await plannedModel(run.model, run.shape)
  const { config } = model
  const notes: string[] = []
  if (kind === 'grpo') await (await import('../inputs.js')).openRewards(run.reward)
  const data = await openData(planned)
  const heldOut = run.evalDataset && (await openIfHere(run.evalDataset, run))
  const measured = data.examples ? measureExamples(data.examples, model.tokenizer) : null
  const limits = limitsOf(planned, config.maxPositionEmbeddings, measured)
  const longer = measured?.prompts.filter((tokens) => tokens > limits.maxPrompt).length ?? 0
  if (measured && longer > 0) {
    const of = `${longer} of the ${measured.prompts.length} prompts counted`
    notes.push(`${of} have more than ${limits.maxPrompt} tokens: a training passes over them`)
  }
  const given = data.examples || flags.examples === undefined ? null : selectedOf(flags.examples, run.dataset)
  const examples = data.examples?.length ?? given?.examples ?? null
  const promptTokens = meanPrompt(flags, measured, limits.maxPrompt)
  const completionTokens = meanCompletion(planned, flags, measured, limits.maxCompletion)
  const lengths = { prompt: promptTokens.value, completion: completionTokens.value }
  const length = kind === 'grpo' ? grpoLength(run, examples) : sftLength(run, examples)
  const tokens = length && (kind === 'grpo' ? grpoTokens(run, length, lengths) : sftTokens(run, length, lengths))

  const dtype = run.dtype === 'fp32' ? 'f32' : 'bf16'
  if (run.dtype === 'auto') notes.push('dtype is auto: counted as bf16')
  if (run.device === 'auto')
    notes.push('device is auto: memory is counted as on the cpu, which keeps more copies of the weights than a GPU')
  const settings: MemorySettings = {
    ...limits,
    dtype,
    packedWeights: run.device === 'cpu' || run.device === 'auto',
    tokensPerMicrobatch: run.tokensPerMicrobatch,
    gradientCheckpointing: run.gradientCheckpointing,
    kvMemory: kind === 'grpo' ? run.kvMemory : null,
    reference: kind === 'grpo' && run.beta > 0,
  }
  if (settings.kvMemory !== null) checkKv(leastKv(config, settings), settings.kvMemory, limits)
  const parts = memoryParts(config, settings)
  if (examples === null) notes.push('the data is not here: --examples N gives steps, tokens and time')
  return {
    model: run.model,
    architecture: model.source,
    parameters: paramLayout(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    dtype,
    examples,
    examplesFrom: given?.from ?? null,
    data: data.text,
    heldOut: heldOut ? heldOut.text : null,
    length,
    promptTokens,
    completionTokens,
    tokens,
    memory: { ...parts, total: totalOf(parts) },
    answersAtOnce: settings.kvMemory === null ? null : answersAtOnce(config, settings),
    throughput: flags.throughput ?? null,
    seconds: tokens && flags.throughput ? tokens.counted / flags.throughput : null,
    deviceMemory: flags.deviceMemory ?? null,
    advice: flags.deviceMemory ? adviceFor(config, settings, flags.deviceMemory) : null,
    notes,
  }
}

async function openData({ kind, run }: Planned) {
  const data = await openIfHere(run.dataset, run)
  if (kind === 'grpo' || !data.dataset) return data
  const { examples } = withReplies(data.dataset, run)
  if (examples.length === 0)
    fail('Error', 'ERR_DATA', `[plan] expected examples with a reply to teach, got none in ${run.dataset.path}`)
  return { ...data, examples }
}

/** What the data set's own selection leaves of so many examples, and in words. */
function selectedOf(count: number, { part, limit }: TrainRun['dataset']): { examples: number; from: string } {
  const whole = Math.floor(count)
  const options = { ...(part !== null && { part }), ...(limit !== null && { limit }) }
  const [from, to] = selectedRange(whole, options)
  if (to <= from) {
    const settings = JSON.stringify(options)
    fail(
      'RangeError',
      'ERR_CONFIG',
      `[plan] --examples: expected enough for dataset ${settings} to leave one, got ${count}`,
    )
  }
  const settings = [
    ...(part === null ? [] : [`part ${part.map((share) => +share.toFixed(4)).join(' to ')}`]),
    ...(limit === null ? [] : [`limit ${limit}`]),
  ].map((setting) => `, dataset.${setting}`)
  return { examples: to - from, from: `of the ${whole.toLocaleString('en-US')} of --examples${settings.join('')}` }
}

async function openIfHere(spec: TrainRun['dataset'], run: Pick<TrainRun, 'promptFormat'>) {
  if (!existsSync(spec.path)) return { dataset: null, examples: null, text: `${spec.path}, which is not here` }
  const dataset = await openExamples(spec, run)
  return { dataset, examples: dataset.examples, text: `${spec.path}: ${describeExamples(dataset)}` }
}

/** The longest prompt and answer that a run may meet. */
function limitsOf({ kind, run }: Planned, context: number, measured: Measured | null) {
  if (kind === 'sft') {
    const whole = Math.min(run.maxLength ?? context, context)
    const longest = measured?.how === 'tokenizer' ? Math.min(whole, longestOf(measured) + (measured.reply ?? 0)) : whole
    return { maxPrompt: longest - 1, maxCompletion: 1 }
  }
  const room = context - run.maxCompletionLength
  if (room < 1) {
    const expected = `[config] maxCompletionLength: expected less than the model's context of ${context}`
    fail('RangeError', 'ERR_CONFIG', `${expected}, got ${run.maxCompletionLength}`)
  }
  const limit = Math.min(run.maxPromptLength ?? room, room)
  return { maxPrompt: limit, maxCompletion: run.maxCompletionLength }
}

const longestOf = ({ prompts }: Measured) => prompts.reduce((most, tokens) => Math.max(most, tokens), 0)

function checkKv(
  least: number,
  kvMemory: number,
  { maxPrompt, maxCompletion }: { maxPrompt: number; maxCompletion: number },
) {
  if (kvMemory >= least) return
  const what = `one answer of ${maxCompletion} tokens to a prompt of ${maxPrompt}`
  fail(
    'RangeError',
    'ERR_CONFIG',
    `[config] kvMemory: expected at least ${least} bytes, which ${what} needs, got ${kvMemory}`,
  )
}

function meanPrompt({ promptTokens }: PlanFlags, measured: Measured | null, limit: number) {
  if (promptTokens !== undefined) return { value: promptTokens, how: 'as given' }
  if (!measured) return { value: limit, how: 'the most there may be' }
  const how = measured.how === 'tokenizer' ? 'the model’s tokenizer' : '4 characters a token'
  return { value: Math.min(measured.prompt, limit), how: `${how}, ${measured.prompts.length} examples` }
}

function meanCompletion({ kind }: Planned, { completionTokens }: PlanFlags, measured: Measured | null, limit: number) {
  if (completionTokens !== undefined) return { value: completionTokens, how: 'as given' }
  if (kind === 'sft' && measured?.reply != null) return { value: measured.reply, how: 'as the prompts' }
  const value = kind === 'sft' ? usualAnswer : Math.min(usualAnswer, limit)
  return { value, how: 'assumed; --completion-tokens says otherwise' }
}
