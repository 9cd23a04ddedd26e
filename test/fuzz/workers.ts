import { runModuleText } from '../native/children.js'
import { fuzzFlags } from './flags.js'
import { fuzzWorkers, shutdownModules } from './worker-calls.js'
import { Finding } from './world.js'

// The part of the fuzzing that needs more than one environment: workers, then processes that end in the middle of calls.
//
//   node dist/test/fuzz/workers.js --calls N --seed S [--device D]

const flags = fuzzFlags()
const tally = await fuzzWorkers(flags)
for (const source of shutdownModules(flags.device)) {
  const { code, signal, text } = await runModuleText(source)
  if (signal !== null || code !== 0)
    throw new Finding(`a process did not end well (${signal ?? `exit ${code}`}):\n${source}\n${text}`)
}
console.log(JSON.stringify(tally))
