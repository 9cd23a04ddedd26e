import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { normal } from '../../lib/conformance/row.js'
import {
  linear,
  linearBackwardInput,
  linearBackwardWeight,
  linearLogprob,
  linearLogprobBackward,
  packWeight,
} from '../../lib/tensor/ops.generated.js'
import { type DType, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { cpuTest, testDevice } from '../support/device.js'
import { runModuleText } from './children.js'

// What training stands on: a row's bits depend on nothing but the row, packed weights are the plain ones, and both
// GEMMs compute the same thing.

const make = (shape: number[], seed: number, dtype: DType, scale = 1) =>
  tensor(normal(shape, seed, scale).values, shape, { device: testDevice, dtype })

async function bits(t: Tensor): Promise<Uint8Array> {
  const values = await t.toArray()
  return new Uint8Array(values.buffer)
}

async function equalBits(a: Tensor, b: Tensor, what: string): Promise<void> {
  const [x, y] = [await bits(a), await bits(b)]
  assert.is(x.length, y.length, what)
  const i = x.findIndex((v, k) => v !== y[k])
  assert.is(i, -1, `${what}: byte ${i} of ${x.length} differs`)
}

/** [outputs, inputs] of SmolLM2-135M's layers, of tiny models, and odd ones. */
const layers: [number, number][] = [
  [960, 576],
  [576, 1536],
  [200, 72],
  [499, 128],
  [64, 192],
]
const batches = [1, 2, 3, 5, 6, 7, 8, 13, 16, 31, 33, 48, 64, 96, 300]

for (const dtype of ['f32', 'bf16'] as const) {
  test(`rows of linear have the same bits in every batch, ${dtype}`, async () => {
    for (const [n, k] of layers) {
      const most = batches.at(-1)!
      const x = make([most, k], k, dtype)
      const [w, bias] = [make([n, k], n, dtype, 0.1), make([n], 3, dtype)]
      const packed = packWeight(w)
      for (const f32Output of [false, true]) {
        const all = linear(x, packed, { bias, f32Output })
        for (const m of batches) {
          const some = linear(x.rows(most - m, most), packed, { bias, f32Output })
          await equalBits(some, all.rows(most - m, most), `${n} by ${k}, ${m} rows, ${f32Output ? 'f32' : dtype}`)
        }
      }
    }
  })

  test(`rows of the input's gradient have the same bits in every batch, ${dtype}`, async () => {
    for (const [n, k] of layers) {
      const dy = make([96, n], n, dtype)
      const w = packWeight(make([n, k], k, dtype), { transposed: true })
      const all = linearBackwardInput(dy, w)
      for (const m of [1, 5, 31, 64]) {
        await equalBits(linearBackwardInput(dy.rows(0, m), w), all.rows(0, m), `${n} by ${k}, ${m} rows`)
      }
    }
  })

  test(`packed weights give the plain ones' bits, ${dtype}`, async () => {
    for (const [n, k] of layers) {
      const w = make([n, k], n, dtype)
      for (const m of [1, 20]) {
        const [x, dy] = [make([m, k], m, dtype), make([m, n], m + 1, dtype)]
        await equalBits(linear(x, packWeight(w)), linear(x, w), `linear ${n} by ${k}`)
        const transposed = packWeight(w, { transposed: true })
        await equalBits(linearBackwardInput(dy, transposed), linearBackwardInput(dy, w), `gradient ${n} by ${k}`)
      }
    }
  })
}

test('packing the fp32 master is packing its bf16 copy', async () => {
  const values = normal([130, 77], 8).values
  const master = tensor(values, [130, 77], { device: testDevice })
  const copy = tensor(values, [130, 77], { device: testDevice, dtype: 'bf16' })
  const [x, dy] = [make([4, 77], 1, 'bf16'), make([4, 130], 2, 'bf16')]
  await equalBits(linear(x, packWeight(master, { bf16: true })), linear(x, packWeight(copy)), 'forward')
  const [a, b] = [packWeight(master, { bf16: true, transposed: true }), packWeight(copy, { transposed: true })]
  await equalBits(linearBackwardInput(dy, a), linearBackwardInput(dy, b), 'transposed')
})

test('a packed weight is packed again in place', async () => {
  const [first, second] = [make([100, 40], 1, 'f32'), make([100, 40], 2, 'f32')]
  const x = make([3, 40], 3, 'f32')
  const packed = packWeight(first)
  const before = linear(x, packed)
  assert.is(packWeight(second, { out: { packed } }), packed)
  await equalBits(linear(x, packed), linear(x, second), 'after')
  await equalBits(before, linear(x, first), 'queued before')
})

cpuTest('a packed weight is refused where its layout does not fit', () => {
  const w = make([70, 40], 1, 'f32')
  const [forward, transposed] = [packWeight(w), packWeight(w, { transposed: true })]
  const [x, dy] = [make([2, 40], 2, 'f32'), make([2, 70], 3, 'f32')]
  const targets = tensor(new Int32Array(2), [2], { device: testDevice })
  const calls: [string, () => unknown][] = [
    ['linear', () => linear(x, transposed)],
    ['linearBackwardInput', () => linearBackwardInput(dy, forward)],
    ['linearLogprob', () => linearLogprob(x, transposed, targets)],
    ['packWeight', () => packWeight(forward)],
    ['view', () => forward.view([70, 40])],
  ]
  for (const [name, call] of calls) {
    try {
      call()
      assert.unreachable(name)
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_TYPE', name)
    }
  }
})

cpuTest('a weight gradient adds up over micro-batches', async () => {
  const [dy, x] = [make([90, 33], 1, 'f32'), make([90, 50], 2, 'f32')]
  const zeros = () => tensor(new Float32Array(33 * 50), [33, 50], { device: testDevice })
  const [whole, parts] = [zeros(), zeros()]
  linearBackwardWeight(dy, x, whole)
  linearBackwardWeight(dy.rows(0, 37), x.rows(0, 37), parts)
  linearBackwardWeight(dy.rows(37, 90), x.rows(37, 90), parts)
  await equalBits(parts, whole, 'fp32 sums continue where they stopped')
})

for (const dtype of ['f32', 'bf16'] as const) {
  test(`the head gives each row the same bits in every batch, packed or plain, ${dtype}`, async () => {
    const [rows, vocabulary, width] = [130, 1100, 96]
    const h = make([rows, width], 1, dtype)
    const w = make([vocabulary, width], 2, dtype, 0.2)
    const [forward, transposed] = [packWeight(w), packWeight(w, { transposed: true })]
    const targets = tensor(
      Int32Array.from({ length: rows }, (_, i) => (i * 37) % vocabulary),
      [rows],
      { device: testDevice },
    )
    const upstream = tensor(
      Float32Array.from({ length: rows }, (_, i) => (i % 4 === 0 ? 0 : i / 50 - 1)),
      [rows],
      { device: testDevice },
    )
    const all = linearLogprob(h, forward, targets)
    const dh = linearLogprobBackward(h, forward, targets, all.lse, all.entropy, upstream, {
      wTransposed: transposed,
      dEntropy: upstream,
    })
    for (const m of [1, 4, 50]) {
      const [hm, tm, um] = [h.rows(0, m), targets.rows(0, m), upstream.rows(0, m)]
      const some = linearLogprob(hm, w, tm)
      for (const name of ['logprob', 'lse', 'entropy'] as const) {
        await equalBits(some[name], all[name].rows(0, m), `${name}, ${m} rows`)
      }
      const gradient = linearLogprobBackward(hm, w, tm, some.lse, some.entropy, um, { dEntropy: um })
      await equalBits(gradient, dh.rows(0, m), `dh, ${m} rows`)
    }
    const first = await dh.rows(0, 1).toFloat32Array()
    assert.ok(
      first.every((v) => v === 0),
      'a row without upstream gradient gets zeros',
    )
  })
}

test('a row that is not finite spoils its own gradients, and nothing at all when it is left out', async () => {
  const [rows, vocabulary, width] = [60, 600, 24]
  const values = normal([rows, width], 1).values
  const w = make([vocabulary, width], 2, 'f32', 0.2)
  const targets = tensor(new Int32Array(rows), [rows], { device: testDevice })
  const gradients = async (h: Float64Array, upstream: number[]) => {
    const x = tensor(h, [rows, width], { device: testDevice })
    const dw = tensor(new Float32Array(w.size), w.shape, { device: testDevice })
    const { logprob, lse, entropy } = linearLogprob(x, w, targets)
    const dh = linearLogprobBackward(x, w, targets, lse, entropy, tensor(upstream, [rows], { device: testDevice }), {
      dw,
    })
    return [await logprob.toFloat32Array(), await dh.toFloat32Array(), await dw.toFloat32Array()] as const
  }
  const ones = new Array(rows).fill(1)
  const without = ones.map((v, i) => (i === 50 ? 0 : v))
  const [logprob, dh, dw] = await gradients(values, ones)
  const finite = await gradients(values, without)
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const broken = values.slice()
    broken[50 * width + 7] = bad
    const [l, d] = await gradients(broken, ones)
    assert.ok(Number.isNaN(l[50]), `log-prob of ${bad}`)
    assert.ok(d.subarray(50 * width, 51 * width).every(Number.isNaN), `dh of ${bad}`)
    assert.ok(
      d.every((v, i) => Math.floor(i / width) === 50 || Object.is(v, dh[i])),
      'dh of other rows',
    )
    assert.ok(
      l.every((v, i) => i === 50 || Object.is(v, logprob[i])),
      'log-probs of other rows',
    )
    const [, leftOut, weights] = await gradients(broken, without)
    assert.equal(leftOut, finite[1])
    assert.equal(weights, finite[2])
  }
  assert.not.equal(dw, finite[2], 'the row counts when it is not left out')
})

test('targets outside the vocabulary are errors that name the row', async () => {
  const [h, w] = [make([3, 8], 1, 'f32'), make([11, 8], 2, 'f32')]
  for (const bad of [-1, 11]) {
    const { logprob } = linearLogprob(h, w, tensor(Int32Array.of(0, bad, 2), [3], { device: testDevice }))
    const error = await logprob
      .toArray()
      .then(() => null)
      .catch((e: unknown) => e as Error & { code: string })
    assert.is(error?.code, 'ERR_RANGE')
    assert.match(error?.message ?? '', new RegExp(`\\[0, 11\\), got ${bad} at row 1$`))
  }
})

const [suite, matmulRows, headRows] = ['suite.js', 'rows/matmul.js', 'rows/linear-logprob.js'].map(
  (file) => new URL(`../../lib/conformance/${file}`, import.meta.url).href,
)

/** What conformance.test.ts checks of these ops that a GEMM can break. */
const checks = `
const checks = await import(${JSON.stringify(suite)})
for (const file of ${JSON.stringify([matmulRows, headRows])}) {
  for (const row of (await import(file)).rows) {
    await checks.matchesReference(row, 'cpu')
    if (checks.takesBFloat16(row)) await checks.bfloat16IsAsGoodAsPlain(row, 'cpu')
    await checks.repeatsBitwise(row, 'cpu')
    await checks.stridedEqualsDense(row, 'cpu')
  }
}
`

// In a child process CALLGRAD_GEMM is set: there these do not start more children.
if (!process.env.CALLGRAD_GEMM && testDevice === 'cpu') {
  for (const gemm of ['own', 'onednn']) {
    test(`CALLGRAD_GEMM=${gemm} computes the same`, async () => {
      const { code, text } = await runModuleText(checks, { env: { CALLGRAD_GEMM: gemm }, timeout: 300_000 })
      assert.is(code, 0, text.slice(-3000))
    })
  }
  test('CALLGRAD_GEMM=own passes this file', async () => {
    const file = `await import(${JSON.stringify(import.meta.url)})`
    const { code, text } = await runModuleText(file, { env: { CALLGRAD_GEMM: 'own' }, timeout: 300_000 })
    assert.is(code, 0, text.slice(-3000))
  })
}

test.run()
