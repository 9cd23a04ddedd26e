import type { GRPOConfig } from './config.js'

export interface Advantages {
  /** [S]; 0 where the completion has no reward */
  advantage: Float32Array
  /** Standard deviation that `frac_reward_zero_std` looks at, one per group. */
  deviation: Float64Array
}

const epsilon = 1e-4

/**
 * Advantages of completions: reward minus the mean of the prompt's group, divided by a standard deviation + 1e-4.
 *
 * `scale` says whose: the group's, the whole batch's, or nobody's (Dr. GRPO, arXiv 2503.20783). Deviations divide by n - 1. A reward
 * of NaN is "does not apply": such a completion is left out of means and deviations and gets advantage 0, and so does a
 * completion whose group has no other reward to compare with.
 *
 * @param rewards [S] completions, group after group
 * @param groups completions of each group, their sum is S
 */
export function groupAdvantages(
  rewards: ArrayLike<number>,
  groups: readonly number[],
  scale: GRPOConfig['scaleRewards'],
): Advantages {
  const advantage = new Float32Array(rewards.length)
  const deviation = new Float64Array(groups.length)
  const batchDeviation = scale === 'batch' ? standardDeviation(Array.from(rewards)) : 0
  let start = 0
  groups.forEach((size, g) => {
    const group = Array.from({ length: size }, (_, i) => rewards[start + i]!)
    const baseline = mean(group)
    const own = scale === 'batch' ? batchDeviation : standardDeviation(group)
    deviation[g] = own
    const divisor = scale === 'none' ? 1 : own + epsilon
    group.forEach((reward, i) => {
      const value = (reward - baseline) / divisor
      advantage[start + i] = Number.isNaN(value) ? 0 : value
    })
    start += size
  })
  return { advantage, deviation }
}

/** Mean of the numbers that are not NaN; NaN if there are none. */
export function mean(values: readonly number[]): number {
  const known = values.filter((x) => !Number.isNaN(x))
  return known.reduce((sum, x) => sum + x, 0) / known.length
}

/** Standard deviation (n - 1) of the numbers that are not NaN; NaN below two of them, as TRL has it. */
export function standardDeviation(values: readonly number[]): number {
  const known = values.filter((x) => !Number.isNaN(x))
  if (known.length < 2) return Number.NaN
  const middle = mean(known)
  return Math.sqrt(known.reduce((sum, x) => sum + (x - middle) ** 2, 0) / (known.length - 1))
}

/**
 * What a batch of rewards says, under TRL's names and NeMo-RL's `baseline_reward/pct_*`: the percentage of groups in which every
 * reward is 0, every reward is 1, or neither.
 */
export function rewardMetrics(
  rewards: ArrayLike<number>,
  groups: readonly number[],
  { deviation }: Advantages,
): Record<string, number> {
  const all = Array.from(rewards)
  let [start, zeros, ones] = [0, 0, 0]
  for (const size of groups) {
    const known = all.slice(start, (start += size)).filter((x) => !Number.isNaN(x))
    if (known.length > 0 && known.every((x) => x === 0)) zeros++
    if (known.length > 0 && known.every((x) => x === 1)) ones++
  }
  const count = Math.max(groups.length, 1)
  const flat = Array.from(deviation).filter((d) => Math.abs(d) <= 1e-8).length
  const metrics: Record<string, number> = {
    reward: mean(all),
    reward_std: standardDeviation(all),
    frac_reward_zero_std: flat / count,
    'baseline_reward/pct_0': (100 * zeros) / count,
    'baseline_reward/pct_1': (100 * ones) / count,
    'baseline_reward/pct_mixed': (100 * (groups.length - zeros - ones)) / count,
  }
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => !Number.isNaN(value)))
}
