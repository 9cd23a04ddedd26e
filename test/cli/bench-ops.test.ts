import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { opCases } from '../../lib/cli/bench/op-cases.js'
import { benchOps, formatOpBench } from '../../lib/cli/bench/ops.js'
import { native } from '../../lib/tensor/native.js'

test('every op of the native table is benchmarked', () => {
  const covered = new Set(opCases().map((c) => c.op))
  const missing = native.ops().filter(({ name }) => !covered.has(name))
  assert.equal(
    missing.map(({ name }) => name),
    [],
    'ops without a case in lib/cli/bench/op-cases.ts',
  )
})

test('a benchmark states time, rates, bytes and the error of bf16', async () => {
  const seen: string[] = []
  const report = await benchOps({
    ops: ['rmsNorm', 'rope'],
    seconds: 0.01,
    onResult: ({ op, dtype }) => seen.push(`${op} ${dtype}`),
  })
  assert.equal(seen, ['rmsNorm f32', 'rmsNorm bf16', 'rope f32', 'rope bf16'])
  assert.ok(report.roofs.copy > 0.1 && report.roofs.f32 > 0.1)
  const [f32, bf16] = report.results
  assert.is(f32?.bytes, 1368 * (4 * 576 * 4 + 4) + 576 * 4) // x, residual, y, sum; rstd; w
  assert.is(f32?.error, null)
  assert.ok(bf16!.error! > 0 && bf16!.error! < 0.01, `error ${bf16!.error}`)
  for (const r of report.results) {
    assert.ok(r.p20 <= r.median && r.median <= r.p80 && r.p20 > 0)
    assert.ok(Math.abs(r.gbPerSecond - r.bytes / r.median / 1000) < 1e-9 && r.roofShare > 0)
  }
  assert.match(formatOpBench(report), /rmsNorm +bf16/)
})

test('an unknown op is an error that names the known ones', async () => {
  try {
    await benchOps({ ops: ['atention'] })
    assert.unreachable()
  } catch (error) {
    assert.is((error as { code?: string }).code, 'ERR_CONFIG')
    assert.match((error as Error).message, /attention.*got "atention"/)
  }
})

test.run()
