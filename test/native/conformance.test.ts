import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { table } from '../../lib/conformance/harness.js'
import { conformanceRows } from '../../lib/conformance/rows.js'
import * as checks from '../../lib/conformance/suite.js'
import { testDevice } from '../support/device.js'

// One table, a row per op. Families hand in their rows by lib/conformance/rows/<family>.ts; an op without one fails here.

const rows = await conformanceRows()

const all = suite('every op of the native table')
all('has a row', () => {
  const missing = [...table.keys()].filter((op) => !rows.has(op))
  assert.equal(missing, [], 'ops without a row in lib/conformance/rows')
})
all('is still there', () => {
  assert.equal(
    [...rows.keys()].filter((op) => !table.has(op)),
    [],
    'rows without an op',
  )
})
all.run()

for (const row of rows.values()) {
  if (!table.has(row.op)) continue
  const it = suite(row.op)
  for (const { name, run } of checks.kernelChecks(row)) it(name, () => run(testDevice))
  if (row.gradient) it('is the derivative', () => checks.gradientIsTheDerivative(row))
  it('refuses wrong arguments', () => checks.wrongArgumentsAreErrors(row, testDevice))
  it.run()
}
