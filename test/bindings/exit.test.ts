import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { prelude, runModuleText } from '../native/children.js'
import { testDevice } from '../support/device.js'

// How an environment ends while streams have work and results are on their way. Each case is a process of its own with a
// limit on its time, run by the Node that runs the test: versions differ in what they lock and free meanwhile.

const test = suite(`ends of an environment on ${testDevice}, Node ${process.version}`)

/** Limit on a process whose own work takes a second or two, also on a machine that is busy. */
const timeout = 60_000

/** Work that takes some tens of milliseconds, small reads that end during it, and one behind all of it. */
const work = `
  const on = device('${testDevice}')
  const x = empty([512, 4096], { device: on })
  const row = tensor([1, 2], [2], { device: on })
  fill(x)
  const reads = []
  for (let i = 0; i < 40; i++) {
    swiglu(x, x).dispose()
    reads.push(add(row, row).toArray())
  }
  reads.push(on.synchronize())`

async function ends(source: string, { code = 0 } = {}): Promise<string> {
  const result = await runModuleText(prelude + source, { timeout })
  assert.is(result.signal, null, `killed after ${Math.round(result.milliseconds)} ms: ${source}\n${result.text}`)
  assert.is(result.code, code, `${source}\n${result.text}`)
  return result.text
}

test('a process that has awaited everything', async () => {
  assert.match(await ends(`${work}\nawait Promise.all(reads); console.log('all', reads.length)`), /^all 41$/m)
})

test('a process that only loads the addon', async () => {
  assert.is(await ends(`device('${testDevice}')`), '')
})

test('results that nobody awaits keep the process alive until they are there', async () => {
  const text = await ends(`${work}\nreads.at(-1).then(() => console.log('the last one'))`)
  assert.match(text, /^the last one$/m)
})

for (const when of ['process.exit(3)', 'setTimeout(() => process.exit(3), 3)', 'await reads[2]; process.exit(3)'])
  test(`${when} with work in flight`, () => ends(`${work}\n${when}`, { code: 3 }).then(() => {}))

test('an uncaught error with work in flight', async () => {
  assert.match(await ends(`${work}\nthrow new Error('of the caller')`, { code: 1 }), /of the caller/)
})

/** A worker whose thread is the only one to load the addon: with it goes all but the code. */
const inWorker = (body: string, afterwards: string) => `
  import { Worker } from 'node:worker_threads'
  const source = ${JSON.stringify(`${prelude}import { parentPort } from 'node:worker_threads'\n${body}`)}
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)))
    const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    ${afterwards}
    console.log('ended', await ended)
  }`

/** Without the addon in the main thread. */
async function workerEnds(body: string, afterwards: string): Promise<string> {
  const { code, signal, text, milliseconds } = await runModuleText(inWorker(body, afterwards), { timeout })
  assert.is(signal, null, `killed after ${Math.round(milliseconds)} ms: ${body}\n${text}`)
  assert.is(code, 0, `${body}\n${text}`)
  return text
}

test('a worker that ends by itself', async () => {
  assert.match(await workerEnds(`${work}\nawait Promise.all(reads)`, ''), /^(ended 0\n){5}$/)
})

test('a worker that calls process.exit() with work in flight', async () => {
  assert.match(await workerEnds(`${work}\nprocess.exit(3)`, ''), /^(ended 3\n){5}$/)
})

test('a worker that is terminated with work in flight, early and late', async () => {
  const terminate = `
    await new Promise((resolve) => worker.once('message', resolve))
    await new Promise((resolve) => setTimeout(resolve, 4 * round))
    await worker.terminate()`
  assert.match(await workerEnds(`${work}\nparentPort.postMessage('started')`, terminate), /^(ended [01]\n){5}$/)
})

test('a worker is terminated and the main thread goes on computing', async () => {
  const source = inWorker(
    `${work}\nparentPort.postMessage('started')`,
    `await new Promise((resolve) => worker.once('message', resolve))
    worker.terminate()
    const a = tensor([1, 2], [2], { device: '${testDevice}' })
    console.log([...(await add(a, a).toArray())].join())`,
  )
  assert.match(await ends(source), /^(2,4\nended [01]\n){5}$/)
})

test.run()
