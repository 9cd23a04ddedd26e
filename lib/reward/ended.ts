import { named } from './named.js'
import type { RewardFunction } from './types.js'

/**
 * `reward`, with 0 for a reply that was cut at the limit. Rewards that look at the calls alone do not mind what follows them, so that a
 * model trained by them unlearns to stop. "Does not apply" (null) stays null.
 */
export function mustEnd(reward: RewardFunction): RewardFunction {
  return named(`mustEnd(${reward.name})`, async (sample) => {
    const score = await reward(sample)
    if (sample.finishReason === 'stop' || score === null) return score
    return { ...(typeof score === 'number' ? {} : score), reward: 0, explain: 'the reply does not end' }
  })
}
