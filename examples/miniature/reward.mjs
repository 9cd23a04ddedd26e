// Tool-N1's rewards, for replies that end. They look at the calls only and do not mind what follows them, so a model trained by them alone
// unlearns to stop: a reply that is cut at the limit is worth nothing here.

import { mustEnd, toolCallReward } from 'callgrad'

export const v0 = mustEnd(toolCallReward('v0'))
export const v2 = mustEnd(toolCallReward('v2'))
export const v3 = mustEnd(toolCallReward('v3'))
export const v4 = mustEnd(toolCallReward('v4'))
