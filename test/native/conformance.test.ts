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
  it('equals the float64 reference', async () => void (await checks.matchesReference(row, testDevice)))
  if (checks.takesBFloat16(row))
    it('loses no more in bf16 than plain bf16', async () =>
      void (await checks.bfloat16IsAsGoodAsPlain(row, testDevice)))
  it('gives the same bits twice', () => checks.repeatsBitwise(row, testDevice))
  if (!row.skip?.includes('strided')) it('takes strided rows', () => checks.stridedEqualsDense(row, testDevice))
  if (!row.skip?.includes('nonFinite'))
    it('passes on what is not finite', () => checks.nonFiniteValuesComeThrough(row, testDevice))
  if (row.gradient) it('is the derivative', () => checks.gradientIsTheDerivative(row))
  if (row.rowwise) it('keeps rows apart', () => checks.rowsAreIndependent(row, testDevice))
  it('refuses wrong arguments', () => checks.wrongArgumentsAreErrors(row, testDevice))
  it.run()
}
