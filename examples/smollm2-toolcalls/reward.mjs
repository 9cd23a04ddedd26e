// Tool-N1's reward, for replies that end. v0 looks at the calls only and does not mind what follows them, so a model trained by it alone
// unlearns to stop: a reply that is cut at the limit is worth nothing here.

import { toolCallReward } from 'callgrad'

const v0 = toolCallReward('v0')

/** @type {import('callgrad').RewardFunction} */
export async function exactAndEnded(sample) {
  const score = await v0(sample)
  if (sample.finishReason === 'stop' || score === null) return score
  const details = typeof score === 'number' ? {} : score
  return { ...details, reward: 0, explain: 'the reply does not end' }
}
