import type { RewardFunction } from './types.js'

/** The same function, called `name`: how tables and logs tell rewards apart that were made by one maker. */
export const named = (name: string, reward: RewardFunction): RewardFunction =>
  Object.defineProperty(reward, 'name', { value: name, configurable: true })
