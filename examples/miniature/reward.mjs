// Tool-N1's rewards, for replies that end. They look at the calls only and do not mind what follows them, so a model trained by them alone
// unlearns to stop: a reply that is cut at the limit is worth nothing here.

import { toolCallReward } from 'callgrad'

/** @returns {import('callgrad').RewardFunction} */
function forRepliesThatEnd(variant) {
  const scored = toolCallReward(variant)
  return async (sample) => {
    const score = await scored(sample)
    if (sample.finishReason === 'stop' || score === null) return score
    const details = typeof score === 'number' ? {} : score
    return { ...details, reward: 0, explain: 'the reply does not end' }
  }
}

export const v0 = forRepliesThatEnd('v0')
export const v2 = forRepliesThatEnd('v2')
export const v3 = forRepliesThatEnd('v3')
export const v4 = forRepliesThatEnd('v4')
