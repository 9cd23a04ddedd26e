import { codedError, fail } from '../errors.js'
import type { RewardResult, RewardSample, Score, WeightedReward } from './types.js'

export interface RewardDetail {
  parts: Record<string, number>
  explain: string
}

export interface ScoredRollouts {
  /** [samples] weighted sum of the rewards that apply, in fp64; 0 where none does (see `unscored`). */
  total: Float64Array
  /** Each reward's own values, [samples]; null where it does not apply. */
  perReward: Record<string, (number | null)[]>
  /** [samples] parts and explanations, prefixed by the reward's name where there are several rewards. */
  details: RewardDetail[]
  /** Indices of samples to which no reward applies: a trainer gives them advantage 0 and says how many. */
  unscored: number[]
}

/**
 * Scores completions by one or several rewards. All functions run before the first promise is awaited, so that rewards which wait for
 * something wait together; results do not depend on the order in which they finish.
 *
 * Throws `ERR_CONFIG` for no rewards, equal names or a weight that is no finite number. Where a function throws or returns something
 * else than a finite number, null or `{ reward }`, rejects with `ERR_REWARD`, naming reward and example, the cause attached.
 */
export async function scoreRollouts(
  rewards: readonly WeightedReward[],
  samples: readonly RewardSample[],
): Promise<ScoredRollouts> {
  checkRewards(rewards)
  const pending = rewards.map((reward) => samples.map((sample) => scoreOne(reward, sample)))
  const settled = await Promise.allSettled(pending.flat())
  const failure = settled.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason

  const total = new Float64Array(samples.length)
  const perReward: Record<string, (number | null)[]> = {}
  const details = samples.map((): RewardDetail => ({ parts: {}, explain: '' }))
  const applies = new Uint8Array(samples.length)
  for (const [r, reward] of rewards.entries()) {
    const scores = await Promise.all(pending[r] as Promise<Score | null>[])
    perReward[reward.name] = scores.map((score) => score?.reward ?? null)
    for (const [i, score] of scores.entries()) {
      if (score === null) continue
      applies[i] = 1
      total[i] = (total[i] as number) + (reward.weight ?? 1) * score.reward
      addDetail(details[i] as RewardDetail, score, rewards.length > 1 ? reward.name : '')
    }
  }
  const unscored = samples.flatMap((_, i) => (applies[i] ? [] : [i]))
  return { total, perReward, details, unscored }
}

function checkRewards(rewards: readonly WeightedReward[]): void {
  if (rewards.length === 0) fail('TypeError', 'ERR_CONFIG', '[reward] expected at least one reward, got none')
  const names = new Set<string>()
  for (const { name, weight = 1 } of rewards) {
    if (names.has(name)) fail('TypeError', 'ERR_CONFIG', `[reward] expected names that differ, got "${name}" twice`)
    if (!Number.isFinite(weight)) {
      fail('RangeError', 'ERR_CONFIG', `[reward] expected a finite weight for "${name}", got ${weight}`)
    }
    names.add(name)
  }
}

async function scoreOne(reward: WeightedReward, sample: RewardSample): Promise<Score | null> {
  const where = `[reward] "${reward.name}" on example "${sample.example.id}"`
  let result: RewardResult
  try {
    result = await reward.fn(sample)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw codedError('Error', 'ERR_REWARD', `${where} threw: ${message}`, error)
  }
  if (result === null) return null
  const score = typeof result === 'number' ? { reward: result } : result
  if (typeof score === 'object' && Number.isFinite(score.reward)) return score
  const got = typeof score === 'object' ? `reward ${String(score.reward)}` : typeof score
  throw codedError('TypeError', 'ERR_REWARD', `${where}: expected a finite number, null or { reward }, got ${got}`)
}

function addDetail(detail: RewardDetail, score: Score, name: string): void {
  for (const [part, value] of Object.entries(score.parts ?? {})) {
    detail.parts[name ? `${name}/${part}` : part] = value
  }
  if (!score.explain) return
  const text = name ? `${name}: ${score.explain}` : score.explain
  detail.explain = detail.explain ? `${detail.explain}; ${text}` : text
}
