import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { native } from '../../lib/tensor/native.js'
import { Random } from './random.js'
import { run } from './run.js'
import { prepareValidCalls } from './valid-calls.js'
import { emptyTally, Finding, type Tally, type WorldOptions } from './world.js'

// Random calls from worker threads beside the main thread, and calls while an environment ends: workers that are terminated in
// the middle, that leave by process.exit(), or whose argument array is taken away.

type Ending = 'returns' | 'exits' | 'is terminated' | 'loses its arguments'

interface Work extends WorldOptions {
  calls: number
  ending: Ending
  /** Calls so far, for the main thread to see when the worker is gone. */
  counter: SharedArrayBuffer
}

async function work(): Promise<void> {
  const { ending, counter, ...options } = workerData as Work
  const count = new Int32Array(counter)
  const progress = (tally: Tally) => {
    count[0] = tally.calls
    return ending === 'exits' && tally.calls > options.calls / 2
  }
  if (ending === 'loses its arguments') {
    const { buffer } = native.arguments
    parentPort!.postMessage(buffer, [buffer as ArrayBuffer])
    const codes = new Set<unknown>()
    for (let i = 0; i < options.calls; i++) {
      try {
        const method = new Random(options.seed + i).pick(['run', 'cost', 'create', 'view'] as const)
        native[method](i % 40)
      } catch (error) {
        codes.add((error as { code?: unknown }).code)
      }
      count[0] = i + 1
    }
    if (codes.has(undefined)) throw new Finding('an error without a code after the argument array was taken away')
    return
  }
  await run({ ...options, progress, valid: await prepareValidCalls(options.device, 500) })
  if (ending === 'exits') process.exit(0)
}

/** Runs two workers at a time until they have made `calls` calls; gives their number. */
export async function fuzzWorkers({ calls, seed, device }: WorldOptions & { calls: number }): Promise<Tally> {
  const random = new Random(seed)
  const tally = emptyTally()
  while (tally.calls < calls) {
    await Promise.all([one(), one()])
  }
  return tally

  async function one(): Promise<void> {
    const ending = random.pick<Ending>(['returns', 'exits', 'is terminated', 'is terminated', 'loses its arguments'])
    const counter = new SharedArrayBuffer(4)
    const data: Work = { seed: random.below(2 ** 31), device, calls: 2000, ending, counter }
    const worker = new Worker(new URL(import.meta.url), { workerData: data })
    let taken: unknown // keeps the array's memory alive on another thread than its addon's
    worker.on('message', (buffer) => {
      taken = buffer
    })
    const end = new Promise<void>((resolve, reject) => {
      worker.on('error', reject)
      worker.on('exit', () => resolve())
    })
    if (ending === 'is terminated') {
      await sleep(50 + random.below(1500))
      await worker.terminate()
    }
    await end
    if (taken !== undefined) new Float64Array(taken as ArrayBuffer).fill(1)
    const made = new Int32Array(counter)[0]!
    tally.calls += made
    tally.anything += made
  }
}

/** How processes may end with calls under way and still to come. */
const endings = [
  'process.exit(0)',
  'process.on("exit", more); process.exit(0)',
  'process.on("exit", more)',
  'process.once("beforeExit", more)',
  'queueMicrotask(() => process.exit(0)); await 0; more()',
  'setImmediate(() => process.exit(0)); for (;;) { more(); await new Promise((r) => setImmediate(r)) }',
  'x.toArray().then(() => process.exit(0)); more()',
  'new FinalizationRegistry(more).register({}, 0); globalThis.gc?.(); more()',
]

/** Modules that end in each of these ways in the middle of calls, for processes of their own. */
export function shutdownModules(device: string): string[] {
  const lib = new URL('../../lib/tensor/', import.meta.url)
  return endings.map(
    (end) => `
    import { empty, tensor } from '${new URL('tensor.js', lib)}'
    import { fill, gatherRows, swiglu } from '${new URL('ops.generated.js', lib)}'
    const x = empty([64, 256], { device: '${device}' })
    const outside = tensor(Int32Array.of(99), [1], { device: '${device}' })
    fill(x)
    function more() {
      for (let i = 0; i < 50; i++) {
        swiglu(x, x)
        if (i % 7 === 0) swiglu(x, x).dispose()
        x.toArray().catch(() => {})
        if (i % 10 === 0) gatherRows(x, outside)
        try { swiglu(x, 1) } catch {}
        x.device.synchronize().catch(() => {})
      }
    }
    more()
    ${end}`,
  )
}

if (!isMainThread && (workerData as Work | null)?.counter) await work()
