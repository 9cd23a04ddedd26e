import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { device } from '../../lib/tensor/device.js'
import { add, fill, gatherRows, swiglu } from '../../lib/tensor/ops.generated.js'
import { empty, tensor } from '../../lib/tensor/tensor.js'
import { prelude, runModuleText } from './children.js'

const cpu = device('cpu')

test('the event loop stays free while ops run', async () => {
  const x = empty([512, 4096], { device: cpu })
  fill(x, { value: 1 })
  const delays: number[] = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    delays.push(now - last - 5)
    last = now
  }, 5)
  const start = performance.now()
  let queued = 0
  while (performance.now() - start < 1000) {
    const before = performance.now()
    for (let i = 0; i < 20; i++) swiglu(x, x).dispose()
    queued += performance.now() - before
    await cpu.synchronize()
  }
  clearInterval(timer)
  x.dispose()
  assert.ok(delays.length > 20, `only ${delays.length} timer ticks in a second`)
  // not the maximum: a busy machine may keep any process waiting once
  const late = delays.sort((a, b) => a - b)[Math.floor(delays.length * 0.9)]!
  assert.ok(late < 50, `one timer in ten came more than ${late} ms late`)
  assert.ok(queued < 300, `queueing took ${queued} of 1000 ms`)
})

test('an error waits for the next await, is reported once, and the stream goes on', async () => {
  const x = tensor([1, 2, 3], [3, 1], { device: cpu })
  const bad = tensor(Int32Array.of(3), [1], { device: cpu })
  const y = gatherRows(x, bad)
  const z = add(x, x) // skipped: the stream is poisoned
  try {
    await z.toArray()
    assert.unreachable('expected the error of gatherRows')
  } catch (error) {
    assert.is((error as { code: string }).code, 'ERR_RANGE')
    assert.match((error as Error).message, /^\[gatherRows\] expected row indices in \[0, 3\), got 3/)
  }
  assert.equal([...(await add(x, x).toArray())], [2, 4, 6])
  y.dispose()
})

test('numbers of tensors that are gone never reach another tensor', () => {
  const stale = tensor([1], [1], { device: cpu })
  const { id } = stale
  stale.dispose()
  for (let i = 0; i < 1000; i++) tensor([i], [1], { device: cpu }).dispose()
  const heir = tensor([7], [1], { device: cpu })
  Object.assign(stale, { id }) // as a bug in the caller would
  assert.throws(() => add(stale, heir), /\[add\] expected a live tensor for a, got one that was disposed/)
  for (const forged of [id + 0.5, 2 ** 53, -3, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32 * 5]) {
    Object.assign(stale, { id: forged })
    assert.throws(() => add(stale, heir))
  }
  Object.assign(stale, { id: -2 })
  heir.dispose()
})

test('collected tensors give their memory back', async () => {
  const { text, code } = await runModuleText(`${prelude}
    const cpu = device('cpu')
    for (let i = 0; i < 60; i++) {
      for (let k = 0; k < 20; k++) fill(empty([1 << 16], { device: cpu }))
      gc()
      await new Promise((r) => setTimeout(r))
    }
    await cpu.synchronize()
    console.log(cpu.memory().peak)`)
  assert.is(code, 0, text)
  assert.ok(Number(text) < 60 * 20 * 2 ** 18 * 0.4, `peak ${text}`)
})

test('a process that ends with work in the queue ends well', async () => {
  const work = `${prelude}
    const cpu = device('cpu')
    const x = empty([512, 4096], { device: cpu })
    fill(x)
    for (let i = 0; i < 20; i++) swiglu(x, x).dispose()
    const reads = [x.toArray(), cpu.synchronize()]
  `
  for (const end of ['process.exit(0)', 'await reads[1]', '', 'setTimeout(() => process.exit(0), 5)']) {
    const { code, signal, text, milliseconds } = await runModuleText(`${work}\n${end}`)
    assert.is(signal, null, `"${end}": ${text}`)
    assert.is(code, 0, `"${end}": ${text}`)
    assert.ok(milliseconds < 30_000, `"${end}" took ${milliseconds} ms`)
  }
})

test('work that nobody can see any more is dropped at the end', async () => {
  const { code, text, milliseconds } = await runModuleText(`${prelude}
    const x = empty([1024, 4096], { device: 'cpu' })
    fill(x)
    for (let i = 0; i < 20000; i++) swiglu(x, x).dispose() // a minute of work
    process.exit(0)`)
  assert.is(code, 0, text)
  assert.ok(milliseconds < 15_000, `the end took ${milliseconds} ms`)
})

test('an uncaught rejection of a poisoned stream ends the process with its message', async () => {
  const { code, text } = await runModuleText(`${prelude}
    const x = tensor([1, 2], [2, 1], { device: 'cpu' })
    gatherRows(x, tensor(Int32Array.of(9), [1], { device: 'cpu' }))
    await device('cpu').synchronize()`)
  assert.is(code, 1)
  assert.match(text, /ERR_RANGE/)
})

// Small ops, so that reads, errors and calls are under way at any instant; node refuses each of them once it ends a worker.
const workerSource = `${prelude}
  import { parentPort } from 'node:worker_threads'
  const cpu = device('cpu')
  const x = empty([64, 256], { device: cpu })
  const bad = tensor(Int32Array.of(99), [1], { device: cpu })
  fill(x)
  parentPort.postMessage('started')
  for (;;) {
    for (let i = 0; i < 20; i++) swiglu(x, x).dispose()
    x.toArray().catch(() => {})
    gatherRows(x, bad).dispose()
    cpu.synchronize().catch(() => {})
    try { add(x, 1) } catch {}
    await x.rows(0, 1).toArray().catch(() => {})
  }`

test('workers use the addon side by side and may be terminated in the middle of work', async () => {
  const { code, signal, text } = await runModuleText(
    `${prelude}
    import { Worker } from 'node:worker_threads'
    const source = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(workerSource)}))
    const a = tensor([1, 2], [2], { device: 'cpu' })
    for (let round = 0; round < 12; round++) {
      const workers = [new Worker(source), new Worker(source), new Worker(source)]
      await Promise.all(workers.map((w) => new Promise((r) => w.once('message', r))))
      await new Promise((r) => setTimeout(r, 3 * round))
      console.log([...(await add(a, a).toArray())].join())
      await Promise.all(workers.map((w) => w.terminate()))
    }
    console.log('survived')`,
  )
  assert.is(signal, null, text)
  assert.is(code, 0, text)
  assert.match(text, /(2,4\n){12}survived/)
})

test.run()
