import { parseArgs } from 'node:util'
import { runModuleText } from '../native/children.js'
import { fuzzWorkers, shutdownModules } from './worker-calls.js'
import { Finding } from './world.js'

// The part of the fuzzing that needs more than one environment: workers, then processes that end in the middle of calls.
//
//   node dist/test/fuzz/workers.js --calls N --seed S [--device D]

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    device: { type: 'string', default: 'cpu' },
    trace: { type: 'boolean', default: false },
  },
})
const { calls, seed, device, trace } = values
const tally = await fuzzWorkers({ calls: Number(calls), seed: Number(seed), device, trace })
for (const source of shutdownModules(device)) {
  const { code, signal, text } = await runModuleText(source)
  if (signal !== null || code !== 0)
    throw new Finding(`a process did not end well (${signal ?? `exit ${code}`}):\n${source}\n${text}`)
}
console.log(JSON.stringify(tally))
