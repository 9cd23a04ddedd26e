import { parseArgs } from 'node:util'
import type { WorldOptions } from './world.js'

/** What both programs of the fuzzing take: `--calls N --seed S [--device D] [--trace]`. */
export function fuzzFlags(): WorldOptions & { calls: number } {
  const { values } = parseArgs({
    options: {
      calls: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      device: { type: 'string', default: 'cpu' },
      trace: { type: 'boolean', default: false },
    },
  })
  const { calls, seed, ...rest } = values
  return { calls: Number(calls), seed: Number(seed), ...rest }
}
