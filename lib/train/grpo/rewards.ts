import { fail } from '../../errors.js'
import type { RewardFunction, WeightedReward } from '../../reward/types.js'

/** What `GRPOTrainer` takes as `reward`: a function, or several, plain or with name and weight. */
export type RewardOption = RewardFunction | WeightedReward | readonly (RewardFunction | WeightedReward)[]

/**
 * Names and weighs the rewards. A plain function is called by its own name, or `reward`; equal names are numbered.
 *
 * @param weights config's `rewardWeights`: one for each reward; null keeps their own
 */
export function weightedRewards(option: RewardOption, weights: readonly number[] | null): WeightedReward[] {
  const list = Array.isArray(option)
    ? (option as readonly (RewardFunction | WeightedReward)[])
    : [option as RewardFunction]
  if (weights && weights.length !== list.length) {
    const expected = `[config] rewardWeights: expected one weight for each of ${list.length} rewards`
    fail('RangeError', 'ERR_CONFIG', `${expected}, got ${weights.length}`)
  }
  const used = new Map<string, number>()
  return list.map((reward, i) => {
    const named = typeof reward === 'function' ? { name: reward.name || 'reward', fn: reward } : reward
    const count = (used.get(named.name) ?? 0) + 1
    used.set(named.name, count)
    const name = count === 1 ? named.name : `${named.name}_${count}`
    return { ...named, name, weight: weights?.[i] ?? named.weight ?? 1 }
  })
}
