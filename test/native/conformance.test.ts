import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { table } from './harness.js'
import { conformanceRows } from './rows.js'
import * as checks from './suite.js'

// One table, a row per op. Families hand in their rows by test/native/rows/<family>.ts; an op without one fails here.

const rows = await conformanceRows()

const all = suite('every op of the native table')
all('has a row', () => {
  const missing = [...table.keys()].filter((op) => !rows.has(op))
  assert.equal(missing, [], 'ops without a row in test/native/rows')
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
  it('equals the float64 reference', () => checks.matchesReference(row))
  if (checks.takesBFloat16(row)) it('loses no more in bf16 than plain bf16', () => checks.bfloat16IsAsGoodAsPlain(row))
  it('gives the same bits twice', () => checks.repeatsBitwise(row))
  if (!row.skip?.includes('strided')) it('takes strided rows', () => checks.stridedEqualsDense(row))
  if (!row.skip?.includes('nonFinite')) it('passes on what is not finite', () => checks.nonFiniteValuesComeThrough(row))
  if (row.gradient) it('is the derivative', () => checks.gradientIsTheDerivative(row))
  if (row.rowwise) it('keeps rows apart', () => checks.rowsAreIndependent(row))
  it('refuses wrong arguments', () => checks.wrongArgumentsAreErrors(row))
  it.run()
}
