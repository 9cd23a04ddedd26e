// 1 for exactly the right calls, credit by argument for the others, 0 for a reply that does not end.

import { mustEnd, partialCreditReward } from 'callgrad'

export const partial = mustEnd(partialCreditReward())
