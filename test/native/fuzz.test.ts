import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { device } from '../../lib/tensor/device.js'
import { testDevice } from '../support/device.js'
import { Fuzzer } from './fuzz.js'
import { table } from './harness.js'
import { conformanceRows } from './rows.js'

// FUZZ_SEED and FUZZ_CALLS repeat or lengthen a run; FUZZ_TRACE=1 names each op before it is called, which shows
// where a crash happened.
const seed = Number(process.env.FUZZ_SEED ?? 1)
const callsPerOp = Number(process.env.FUZZ_CALLS ?? 300)
const rows = await conformanceRows()

test(`any arguments give a result or a coded error (seed ${seed})`, async () => {
  const cpu = device(testDevice)
  cpu.setMemoryLimit(256 * 2 ** 20)
  const fuzzer = new Fuzzer(seed)
  for (let i = 0; i < callsPerOp; i++) {
    for (const row of rows.values()) {
      if (!table.has(row.op)) continue
      if (process.env.FUZZ_TRACE) console.error(`${i} ${row.op}`)
      await fuzzer.call(row)
      if (process.env.FUZZ_TRACE) await fuzzer.settle()
    }
  }
  await fuzzer.settle()
  console.log(`${fuzzer.calls} calls, ${fuzzer.ran} ran,`, Object.fromEntries(fuzzer.codes))
  assert.ok(fuzzer.ran > fuzzer.calls / 20, 'hardly any call got past the checks')
  assert.ok((fuzzer.codes.get('ERR_SHAPE') ?? 0) > 0 && (fuzzer.codes.get('ERR_DTYPE') ?? 0) > 0)
  fuzzer.dispose()
})

test.run()
