import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { codedError } from '../../lib/errors.js'
import { type LoopOptions, runLoop, type Stepper } from '../../lib/train/loop.js'
import { RunFolder } from '../../lib/train/run-folder.js'
import { Stopwatch } from '../../lib/train/timing.js'
import { MetricWindow } from '../../lib/train/window.js'

const test = suite<{ path: string }>('loop')
test.before.each((context) => {
  context.path = join(mkdtempSync(join(tmpdir(), 'callgrad-loop-')), 'run')
})
test.after.each(({ path }) => rmSync(join(path, '..'), { recursive: true, force: true }))

/** Counts steps; fails with `failure` in place of update number `failAt`. */
class Counter implements Stepper {
  step = 0
  constructor(
    private readonly folder: RunFolder,
    private readonly failAt = Number.POSITIVE_INFINITY,
    private readonly failure: Error = new Error('broken'),
  ) {}

  async update() {
    if (this.step + 1 === this.failAt) throw this.failure
    this.step++
    return { metrics: { loss: this.step, learning_rate: this.step / 10 }, notes: this.step === 2 ? ['look here'] : [] }
  }

  async contents() {
    const { step, folder } = this
    const counters = { step, position: 0, generations: 0, update: 0, tokensSeen: 0 }
    const data = { size: 0, hash: '' }
    const window = { sums: {}, counts: {} }
    const state = {
      format: 1 as const,
      kind: 'sft' as const,
      ...counters,
      config: {},
      data,
      reference: null,
      logs: folder.logs(),
      window,
    }
    return { state, saveModel: async () => {}, optimizer: [], generation: null }
  }
}

async function start(
  path: string,
  changes: Partial<LoopOptions['config']> & Partial<LoopOptions> = {},
  failAt?: number,
  failure?: Error,
) {
  const folder = await RunFolder.open(path, { from: null, keep: 2 })
  const { loggingSteps = 1, saveSteps = 2, evalSteps = 0, ...options } = changes
  const config = { loggingSteps, saveSteps, evalSteps }
  const counter = new Counter(folder, failAt, failure)
  const run = runLoop(counter, {
    config,
    totalSteps: 5,
    folder,
    window: new MetricWindow(),
    stopwatch: new Stopwatch(),
    stopRequested: () => false,
    ...options,
  })
  return { counter, run }
}

const lines = (path: string) =>
  readFileSync(join(path, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
const checkpoints = (path: string) => {
  const folder = join(path, 'checkpoints')
  return existsSync(folder) ? readdirSync(folder) : []
}

test('logs every step, saves on the way and at the end, keeps the newest', async ({ path }) => {
  const seen: number[] = []
  const { run } = await start(path, { onStep: ({ step }) => void seen.push(step) })
  const summary = await run
  assert.equal(seen, [1, 2, 3, 4, 5])
  assert.equal(checkpoints(path), ['step-000004', 'step-000005'])
  assert.equal(summary, {
    step: 5,
    totalSteps: 5,
    stopped: false,
    checkpoint: join(path, 'checkpoints', 'step-000005'),
  })
  assert.equal(
    lines(path).map(({ loss }) => loss),
    [1, 2, 3, 4, 5],
  )
  assert.equal(
    lines(path).map(({ note }) => note),
    [undefined, 'look here', undefined, undefined, undefined],
  )
})

test('a line is the mean of its steps, the last value of what is a position, and never misses the end', async ({
  path,
}) => {
  const { run } = await start(path, { loggingSteps: 2 })
  await run
  const got = lines(path).map(({ step, loss, learning_rate }) => [step, loss, learning_rate])
  assert.equal(got, [
    [2, 1.5, 0.2],
    [4, 3.5, 0.4],
    [5, 5, 0.5],
  ])
})

test('a stop ends after the running step, with a checkpoint', async ({ path }) => {
  let counter: Stepper = { step: 0 } as Stepper
  const started = await start(path, { stopRequested: () => counter.step === 3 })
  counter = started.counter
  const summary = await started.run
  assert.ok(summary.stopped)
  assert.is(summary.step, 3)
  assert.equal(checkpoints(path), ['step-000002', 'step-000003'])
})

test('an error saves what was reached and is the error that comes out', async ({ path }) => {
  const { run } = await start(path, { saveSteps: 0 }, 4, codedError('Error', 'ERR_REWARD', '[reward] example 7 threw'))
  try {
    await run
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /example 7 threw/)
  }
  assert.equal(checkpoints(path), ['step-000003'])
})

test('a figure that is not finite saves nothing: the checkpoint before stays the newest', async ({ path }) => {
  const { run } = await start(path, {}, 4, codedError('Error', 'ERR_NONFINITE', '[train] step 4: the loss is NaN'))
  await run.then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /step 4/),
  )
  assert.equal(checkpoints(path), ['step-000002'])
})

test('evaluates every evalSteps and logs it', async ({ path }) => {
  const { run } = await start(path, { evalSteps: 2, evaluate: async (step) => ({ exact_match: step / 10 }) })
  await run
  assert.equal(
    lines(path).flatMap((line) => ('eval_exact_match' in line ? [[line.step, line.eval_exact_match]] : [])),
    [
      [2, 0.2],
      [4, 0.4],
    ],
  )
})

test('a folder that holds a run is not overwritten unless it is resumed', async ({ path }) => {
  await (await start(path)).run
  await RunFolder.checkpoint(path, false).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /holds one: resume it/),
  )
  const found = await RunFolder.checkpoint(path, true)
  assert.is(found!.state.step, 5)
  await found!.close()
})

test('without an output folder nothing is written', async () => {
  const folder = await RunFolder.open(null, { from: null, keep: null })
  folder.metrics({ step: 1 })
  assert.equal(folder.logs(), { metrics: 0, completions: 0 })
  assert.is(await RunFolder.checkpoint(null, true), null)
})

test.run()
