import { addonCalls } from './addon-calls.js'
import { fuzzFlags } from './flags.js'
import { anyOpCall, wrongOpCall, wrongTable } from './op-calls.js'
import { memoryLimit, tensorCalls } from './tensor-calls.js'
import { prepareValidCalls, type ValidCall, validCall } from './valid-calls.js'
import { type Tally, World, type WorldOptions } from './world.js'

// A seeded sequence of random calls. As a program it prints its tally as JSON; scripts/fuzz-api.mjs runs it in processes.
//
//   node dist/test/fuzz/run.js --calls N --seed S [--device D] [--trace]

const kinds: { weight: number; run: (world: World, calls: readonly ValidCall[]) => Promise<void> }[] = [
  { weight: 12, run: anyOpCall },
  { weight: 8, run: wrongOpCall },
  { weight: 1, run: wrongTable },
  { weight: 2, run: validCall },
  { weight: 10, run: (world) => world.random.weighted(tensorCalls).run(world) },
  { weight: 10, run: (world, calls) => world.random.weighted(addonCalls).run(world, calls) },
]

export interface RunOptions extends WorldOptions {
  calls: number
  /** Prepared by an earlier run of this process. */
  valid?: readonly ValidCall[]
  /** Called now and then with the calls so far; a true return ends the run. */
  progress?: (tally: Tally) => boolean
}

/** Makes at least `calls` calls. Throws a Finding on the first that does what it must not. */
export async function run(options: RunOptions): Promise<Tally> {
  const world = new World(options)
  world.device.setMemoryLimit(memoryLimit)
  const valid = options.valid ?? (await prepareValidCalls(options.device))
  for (let i = 0; world.tally.calls < options.calls; i++) {
    await world.random.weighted(kinds).run(world, valid)
    // finalizers and worker messages want the event loop
    if (i % 256 === 0) {
      await world.settle()
      await new Promise((resolve) => setImmediate(resolve))
      if (options.progress?.(world.tally)) break
    }
  }
  await world.settle()
  world.dispose()
  return world.tally
}

if (process.argv[1] === import.meta.filename) {
  console.log(JSON.stringify(await run(fuzzFlags())))
}
