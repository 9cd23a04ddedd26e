import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseClocks } from '../../lib/cli/bench/gpu-clocks.js'
import { runByCublas } from '../../lib/cli/bench/op-call.js'
import { compareReports, formatComparison, readReport, verdictOf } from '../../lib/cli/bench/op-compare.js'
import { formatOpBench, markdownOpBench, opBenchTable } from '../../lib/cli/bench/op-table.js'
import { benchOps, checkRow, type OpBenchReport, type OpBenchResult, rowsOf } from '../../lib/cli/bench/ops.js'
import { rooflineOf } from '../../lib/cli/bench/roofline.js'
import { rooflinePage } from '../../lib/cli/bench/roofline-page.js'
import { Maker, smollm2Shapes } from '../../lib/conformance/bench.js'
import { opNamed } from '../../lib/conformance/harness.js'
import { conformanceRows } from '../../lib/conformance/rows.js'
import { device } from '../../lib/tensor/device.js'
import { native } from '../../lib/tensor/native.js'
import { tensor } from '../../lib/tensor/tensor.js'

test('every row of the conformance table says what to measure', async () => {
  for (const row of (await conformanceRows()).values()) {
    assert.ok(row.bench?.dtypes.length > 0, row.op)
    const small = { ...smollm2Shapes, rows: 24, sequences: 2, context: 32, vocab: 64, intermediate: 64, scored: 8 }
    const inputs = row.bench.inputs(new Maker(device('cpu'), 'f32'), small)
    for (const t of Object.values(inputs)) t.dispose()
  }
})

let measured: OpBenchReport

test('a benchmark states time hot and cold, noise, rates, bytes and the error against the reference', async () => {
  const seen: string[] = []
  const report = await benchOps({
    ops: ['rmsNorm', 'rope'],
    seconds: 0.01,
    onResult: ({ op, dtype }) => seen.push(`${op} ${dtype}`),
  })
  measured = report
  assert.equal(seen, ['rmsNorm f32', 'rmsNorm bf16', 'rope f32', 'rope bf16'])
  assert.ok(report.roofs!.copy > 0.1 && report.roofs!.f32 > 0.1)
  const [f32, bf16] = report.results as [OpBenchResult, OpBenchResult, ...OpBenchResult[]]
  assert.is(f32.bytes, 1368 * (4 * 576 * 4 + 4) + 576 * 4) // x, residual, y, sum; rstd; w
  assert.ok(f32.error > 0 && f32.error < 2e-5 && bf16.error > 1e-4 && bf16.error < 0.01)
  assert.is(f32.command, 'npx callgrad bench ops --op rmsNorm --dtype fp32 --device cpu')
  for (const { timing, bytes } of report.results) {
    const t = timing!
    assert.ok(t.p20 <= t.median && t.median <= t.p80 && t.p20 > 0 && t.cold.median > 0 && t.samples >= 5)
    assert.is(t.noise, (t.p80 - t.p20) / t.median)
    assert.ok(Math.abs(t.gbPerSecond - bytes / t.median / 1000) < 1e-9 && t.roofShare > 0)
  }
  assert.match(formatOpBench(report), /rmsNorm +bf16/)
  assert.is(markdownOpBench(report).split('\n').length, 2 + report.results.length)
})

test('an op that is wrong is not measured', async () => {
  const [row] = await rowsOf(['rmsNorm'])
  const broken = { ...row!, reference: () => ({ y: Float64Array.of(7) }) }
  for (const dtype of ['f32', 'bf16'] as const)
    assert.match(String(await checkRow(broken, 'cpu', dtype)), /rmsNorm, one element/)
  const report = { ...measured, refused: [{ op: 'rmsNorm', dtype: 'f32' as const, reason: 'y is off by 0.5' }] }
  assert.match(formatOpBench(report), /not measured: rmsNorm f32 fails its check: y is off by 0.5/)
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

test('a difference counts where it is beyond both noises', () => {
  const [r] = measured.results
  const at = (median: number, spread: number): OpBenchResult => ({
    ...r!,
    timing: { ...r!.timing!, median, p20: median - spread, p80: median + spread, noise: (2 * spread) / median },
  })
  const verdict = (a: OpBenchResult, b: OpBenchResult) => verdictOf(a, b)?.verdict
  assert.is(verdict(at(100, 5), at(80, 5)), 'faster')
  assert.is(verdict(at(100, 5), at(120, 5)), 'slower')
  assert.is(verdict(at(100, 0.1), at(101, 0.1)), 'same') // less than 3 % is no difference, however still the machine
  assert.is(verdict(at(100, 10), at(108, 10)), 'same')
  assert.is(verdict(at(100, 2), at(108, 20)), 'unsure')
  const counted = (moved: number): OpBenchResult => ({ ...r!, timing: null, counters: { moved } as never })
  assert.is(verdict(counted(64), counted(96)), 'more traffic')
  assert.is(verdict(counted(64), counted(64)), 'same')
  assert.is(verdictOf(counted(64), at(1, 1)), null)
})

test('a report that was written is compared with a new one', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'callgrad-bench-')), 'old.json')
  writeFileSync(file, JSON.stringify(measured))
  const list = compareReports(readReport(file), measured)
  assert.is(list.length, measured.results.length)
  assert.ok(list.every((c) => c.verdict === 'same'))
  assert.match(formatComparison(list, 'µs'), /rope +bf16.*1\.00x +same/)
  assert.throws(
    () => compareReports({ ...measured, device: 'simt' }, measured),
    /expected a report of cpu, got one of simt/,
  )
  for (const bad of ['[]', '{', '{"version":1}', 'null']) {
    writeFileSync(file, bad)
    assert.throws(() => readReport(file), /expected .*old.json to hold what "callgrad bench ops --json" prints/)
  }
  assert.throws(() => readReport(`${file}.none`), /cannot read/)
})

test('the roofline page stands alone, with every op under its roofs', () => {
  const roofline = rooflineOf(measured)
  assert.equal(
    new Set(roofline.points.map((p) => p.label)),
    new Set(['rmsNorm', 'rope'].filter((op) => measured.results.some((r) => r.op === op && r.flops))),
  )
  for (const p of roofline.points) assert.ok(p.intensity > 0 && p.rate > 0, p.label)
  const page = rooflinePage({ ...measured, refused: [{ op: 'add', dtype: 'f32', reason: '<b>wrong</b>' }] })
  assert.match(page, /Content-Security-Policy/)
  assert.ok(
    !/https?:\/\/(?!www\.w3\.org)/.test(page.replace(/\/\*![\s\S]*?\*\//g, '')),
    'no address outside of the page',
  )
  assert.match(page, /&lt;b&gt;wrong&lt;\/b&gt;/)
  assert.ok(page.includes('rmsNorm'))
})

test('counted ops stand under an H100', () => {
  const [r] = measured.results
  const counters = { moved: r!.bytes, h100Microseconds: 2 } as never
  const { bandwidth, points } = rooflineOf({ ...measured, roofs: null, results: [{ ...r!, timing: null, counters }] })
  assert.is(bandwidth, 3350)
  assert.ok(Math.abs(points[0]!.rate - r!.flops! / 2e-6 / 1e9) < 1e-9 * points[0]!.rate)
})

test('cuBLAS stands beside the products that it was timed on', () => {
  const [r] = measured.results
  const at = { median: 8, p20: 7, p80: 9 }
  const timed = { ...at, ratio: 1.25, cold: { ...at, median: 16 }, coldRatio: 0.5 }
  const report: OpBenchReport = {
    ...measured,
    cublas: { name: 'cuBLAS 13.2.1 (libcublas.so.13)' },
    results: [
      { ...r!, op: 'linear', cublas: timed },
      { ...r!, op: 'matmul', dtype: 'bf16', cublas: { refused: 'c is off by <7>' } },
      { ...r!, op: 'rmsNorm', cublas: null },
    ],
  }
  assert.equal(JSON.parse(JSON.stringify(report)).results[0].cublas, timed)
  const { header, rows } = opBenchTable(report)
  const first = header.indexOf('cublas µs')
  assert.equal(header.slice(first), ['cublas µs', 'ratio', 'cublas cold', 'cold ratio', 'shape'])
  assert.equal(rows[0]!.slice(first, -1), ['8.00', '1.25', '16.0', '0.50'])
  assert.equal(rows[1]!.slice(first, -1), ['–', '–', '–', '–'])
  assert.match(markdownOpBench(report), /\| 8\.00 \| 1\.25 \| 16\.0 \| 0\.50 \|/)
  const text = formatOpBench(report)
  assert.match(text, /cuBLAS 13\.2\.1 \(libcublas\.so\.13\): plain products without bias and residual/)
  assert.match(text, /cuBLAS is not timed: matmul bf16: c is off by <7>/)
  const page = rooflinePage(report)
  assert.ok(page.includes('cublas µs') && page.includes('c is off by &lt;7&gt;'))
  const without = { ...measured, cublas: { reason: 'not found (tried libcublas.so.13)' } }
  assert.match(formatOpBench(without), /cuBLAS: not found \(tried libcublas\.so\.13\)/)
  assert.not.match(formatOpBench(without), /ratio/)
  assert.ok(measured.cublas === null && !formatOpBench(measured).includes('cuBLAS'))
})

test('cuBLAS works on no device but cuda', () => {
  assert.equal(native.cublas(device('cpu').index), { reason: 'cuBLAS runs on cuda devices' })
  const a = tensor([1, 2, 3, 4], [2, 2], { device: 'cpu' })
  const call = { op: opNamed('matmul'), inputs: { a, b: a }, attrs: {} }
  assert.throws(() => runByCublas(call), /\[matmul\] cuBLAS runs on cuda devices/)
  const { tensors } = device('cpu').memory()
  assert.throws(() => runByCublas(call), /cuBLAS/)
  assert.is(device('cpu').memory().tensors, tensors) // the output that was made for it is gone
  a.dispose()
})

test("nvidia-smi's line is read", () => {
  assert.equal(parseClocks('NVIDIA H100 80GB HBM3, 580.65.06, 1980, 1980, 2619, 312.40, 700.00'), {
    name: 'NVIDIA H100 80GB HBM3',
    driver: '580.65.06',
    sm: 1980,
    smMax: 1980,
    memory: 2619,
    watts: 312.4,
    wattsLimit: 700,
  })
  assert.is(parseClocks('No devices were found'), null)
})

test.run()
