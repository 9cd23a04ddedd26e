import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { table } from '../../lib/conformance/harness.js'
import { runModuleText } from '../native/children.js'
import { testDevice } from '../support/device.js'
import { unknownTables } from './op-calls.js'
import { run } from './run.js'
import { fuzzWorkers, shutdownModules } from './worker-calls.js'

// A short run of what `npm run fuzz:api` does at length; FUZZ_SEED and FUZZ_CALLS change it.
const seed = Number(process.env.FUZZ_SEED ?? 1)
const calls = Number(process.env.FUZZ_CALLS ?? 6000)

test(`right calls give their bits, wrong ones a coded error, among ${calls} random ones (seed ${seed})`, async () => {
  const tally = await run({ calls, seed, device: testDevice })
  console.log(JSON.stringify(tally))
  assert.ok(tally.valid > calls / 20 && tally.refused > calls / 20)
  for (const code of ['ERR_TYPE', 'ERR_SHAPE', 'ERR_DTYPE', 'ERR_RANGE', 'ERR_DISPOSED', 'ERR_DEVICE'])
    assert.ok((tally.codes[code] ?? 0) > 0, `no call gave ${code}`)
})

test('every op with a table of indices is tried with values outside it', () => {
  assert.equal(unknownTables(table.values()), [])
})

test('workers make random calls side by side and end in every way', async () => {
  const { calls: made } = await fuzzWorkers({ calls: 1000, seed, device: testDevice })
  assert.ok(made >= 1000)
})

test('processes that end in the middle of calls end well', async () => {
  for (const source of shutdownModules(testDevice)) {
    const { code, signal, text } = await runModuleText(source, { timeout: 60_000 })
    assert.is(signal, null, `${source}\n${text}`)
    assert.is(code, 0, `${source}\n${text}`)
  }
})

test.run()
