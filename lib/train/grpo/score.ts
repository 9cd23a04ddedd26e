import { type ScoredRollouts, scoreRollouts } from '../../reward/combine.js'
import { checkReply, replyRates } from '../../reward/stats.js'
import type { RewardSample, WeightedReward } from '../../reward/types.js'
import { groupAdvantages, mean, rewardMetrics, standardDeviation } from '../advantages.js'
import type { GRPOConfig } from '../config.js'
import type { Sample } from '../generation.js'
import { permutationOf } from '../order.js'
import type { DrawnPrompt, PromptCodec } from './prompts.js'

export interface ScoreOptions {
  rewards: readonly WeightedReward[]
  codec: PromptCodec
  config: Pick<GRPOConfig, 'scaleRewards' | 'shuffleRewards' | 'seed'>
  /** Generations before this one. */
  generation: number
  /** Tokens that end a reply: rewards do not see the one that ended a completion. */
  stopTokens: readonly number[]
}

export interface Scores {
  metrics: Record<string, number>
  notes: string[]
  /** A line of completions.jsonl for each completion, without its step. */
  lines: object[]
}

/** A completion with the prompt it answers. */
interface Answer {
  sample: Sample
  /** Its place in its group. */
  place: number
  prompt: DrawnPrompt
  seen: RewardSample
}

/**
 * Scores every completion, and writes reward and advantage into its sample.
 *
 * Rejects with ERR_REWARD, which names reward and example, where a reward function throws or gives no number.
 */
export async function scoreGroups(
  prompts: readonly DrawnPrompt[],
  groups: readonly Sample[][],
  { rewards, codec, config, generation, stopTokens }: ScoreOptions,
): Promise<Scores> {
  const answers = groups.flatMap((samples, p) =>
    samples.map((sample, place): Answer => {
      const prompt = prompts[p]!
      return { sample, place, prompt, seen: rewardSample(sample, prompt, codec, stopTokens) }
    }),
  )
  const scored = await scoreRollouts(
    rewards,
    answers.map(({ seen }) => seen),
  )
  const totals = Float64Array.from(scored.total)
  for (const i of scored.unscored) totals[i] = Number.NaN
  const used = config.shuffleRewards ? shuffled(totals, config.seed, generation) : totals
  const sizes = groups.map((samples) => samples.length)
  const advantages = groupAdvantages(used, sizes, config.scaleRewards)
  for (const [i, { sample }] of answers.entries()) {
    sample.reward = used[i]!
    sample.advantage = advantages.advantage[i]!
  }
  const [none, all] = [scored.unscored.length, answers.length]
  return {
    metrics: { ...rewardMetrics(used, sizes, advantages), ...perRewardMetrics(scored), ...replyMetrics(answers) },
    notes: none > 0 ? [`No reward applies to ${none} of ${all} completions: their advantage is 0.`] : [],
    lines: answers.map((answer, i) => line(answer, scored, i)),
  }
}

function rewardSample(
  sample: Sample,
  prompt: DrawnPrompt,
  codec: PromptCodec,
  stopTokens: readonly number[],
): RewardSample {
  const tokens = Array.from(sample.tokens)
  const ended = sample.finishReason === 'stop' && stopTokens.includes(tokens.at(-1) ?? -1)
  return {
    prompt: prompt.text,
    completion: codec.decode(ended ? tokens.slice(0, -1) : tokens),
    tokens,
    finishReason: sample.finishReason,
    example: prompt.example,
  }
}

/** The control experiment: the same rewards, handed to other completions. */
function shuffled(rewards: Float64Array, seed: number, generation: number): Float64Array {
  return Float64Array.from(permutationOf(rewards.length, seed ^ 0x5eed, generation), (i) => rewards[i]!)
}

/** Means and deviations of each reward where it applies, and means of the parts that rewards name. */
function perRewardMetrics({ perReward, details }: ScoredRollouts): Record<string, number> {
  const metrics: Record<string, number> = {}
  for (const [name, values] of Object.entries(perReward)) {
    const known = values.map((value) => value ?? Number.NaN)
    metrics[`rewards/${name}/mean`] = mean(known)
    metrics[`rewards/${name}/std`] = standardDeviation(known)
  }
  const parts = new Map<string, number[]>()
  for (const detail of details) {
    for (const [name, value] of Object.entries(detail.parts)) parts.set(name, [...(parts.get(name) ?? []), value])
  }
  for (const [name, values] of parts) metrics[`reward_parts/${name}`] = mean(values)
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => !Number.isNaN(value)))
}

/** Format and name rates, over the examples whose truth is a list of calls; a custom reward may keep something else there. */
function replyMetrics(answers: readonly Answer[]): Record<string, number> {
  const checks = answers.flatMap(({ seen: { completion, example } }) => {
    if (example.truth === undefined) return []
    try {
      return [checkReply(completion, example.truth)]
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_TRUTH') return []
      throw error
    }
  })
  return checks.length > 0 ? replyRates(checks) : {}
}

function line({ sample, place, prompt, seen }: Answer, { perReward, details }: ScoredRollouts, i: number): object {
  const { parts, explain } = details[i]!
  const names = Object.keys(perReward)
  return {
    id: prompt.example.id,
    sample: place,
    // Once for each prompt: its other completions follow.
    ...(place === 0 && { prompt: prompt.text, truth: prompt.example.truth }),
    completion: seen.completion,
    tokens: sample.tokens.length,
    finishReason: sample.finishReason,
    reward: Number.isNaN(sample.reward) ? null : sample.reward,
    advantage: sample.advantage,
    ...(names.length > 1 && { rewards: Object.fromEntries(names.map((name) => [name, perReward[name]![i]])) }),
    ...(Object.keys(parts).length > 0 && { parts }),
    ...(explain && { explain }),
  }
}
