import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { argmax, distribution, type Filters } from '../../lib/conformance/reference/sample.js'
import { normal } from '../../lib/conformance/row.js'
import { device } from '../../lib/tensor/device.js'
import { linear, linearLogprob, packWeight, sample } from '../../lib/tensor/ops.generated.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { testDevice } from '../support/device.js'

const cpu = { device: testDevice }
/** Draws of a row. The checked build of simt takes half an hour for the many, and the bounds know how many there were. */
const draws = testDevice === 'simt' && process.env.CALLGRAD_SIMT === 'checked' ? 256 : 4000

/** One row of logits drawn at positions 0, 1, 2 … */
async function draw(logits: number[] | Float32Array, n: number, options: Filters & { key?: number[] }) {
  const { key = [1, 2, 3, 4], ...settings } = options
  const size = logits.length
  const rows = new Float32Array(n * size)
  const keys = new Int32Array(n * 4)
  for (let i = 0; i < n; i++) {
    rows.set(logits, i * size)
    keys.set(key, i * 4)
  }
  const positions = Int32Array.from({ length: n }, (_, i) => i)
  const { token, logprob } = sample(
    tensor(rows, [n, size], cpu),
    tensor(keys, [n, 4], cpu),
    tensor(positions, [n], cpu),
    settings,
  )
  return { tokens: [...(await token.toInt32Array())], logprobs: [...(await logprob.toFloat32Array())] }
}

const wide = Float32Array.from(normal([5000], 3, 2).values)

test('draws follow the filtered distribution at a large vocabulary', async () => {
  for (const settings of [
    { temperature: 1, topK: 300 },
    { temperature: 1, topP: 0.7 },
    { temperature: 0.8, topK: 2000, topP: 0.5, minP: 0.01 },
  ]) {
    const expected = distribution(wide, settings)
    const n = draws
    const { tokens } = await draw(wide, n, settings)
    assert.is(tokens.filter((t) => !(expected[t]! > 0)).length, 0, 'nothing outside the support')
    const counts = new Float64Array(wide.length)
    for (const t of tokens) counts[t]! += 1 / n
    // masses of ten groups of tokens: within five standard deviations of a binomial count
    for (let g = 0; g < 10; g++) {
      const mass = (p: Float64Array) => p.reduce((sum, x, i) => sum + (i % 10 === g ? x : 0), 0)
      const [got, want] = [mass(counts), mass(expected)]
      assert.ok(Math.abs(got - want) < 5 * Math.sqrt((want * (1 - want)) / n), `group ${g}: ${got}, expected ${want}`)
    }
  }
})

test('a filter keeps exactly its set: every kept token is drawn, none other', async () => {
  const logits = [0, 1, 1, 1, -1, 0.5]
  for (const [settings, kept] of [
    [{ temperature: 1, topK: 2 }, [1, 2]],
    [{ temperature: 1, topK: 4 }, [1, 2, 3, 5]],
    [{ temperature: 1, topK: 100 }, [0, 1, 2, 3, 4, 5]],
    [{ temperature: 1, topP: 0.3 }, [1, 2]],
    [{ temperature: 1, topP: 1e-9 }, [1]],
    [{ temperature: 1, minP: 1 }, [1, 2, 3]],
    [{ temperature: 1, minP: 0.5 }, [1, 2, 3, 5]],
    [{ temperature: 1, topK: 1, minP: 0.5 }, [1]],
    [{ temperature: 0.7, minP: 1 }, [1, 2, 3]],
  ] as [Filters, number[]][]) {
    const { tokens } = await draw(logits, 400, settings)
    assert.equal(
      [...new Set(tokens)].sort((a, b) => a - b),
      kept,
      JSON.stringify(settings),
    )
  }
})

test('ties: a constant row is cut by index, and greedy takes the first', async () => {
  const flat = new Float32Array(3000).fill(2.5)
  const { tokens } = await draw(flat, draws / 8, { temperature: 1, topK: 1500 })
  assert.ok(tokens.every((t) => t < 1500))
  assert.ok(Math.max(...tokens) > 1400)
  assert.equal((await draw(flat, 1, { temperature: 0 })).tokens, [0])
  assert.equal((await draw(flat, 1, { temperature: 1, topK: 1 })).tokens, [0])
})

test('filters find their sets where logits are far apart, huge or denormal', async () => {
  const far = Float32Array.from({ length: 900 }, (_, i) => (i % 3 === 0 ? -1e30 * (i + 1) : -i / 1000))
  const { tokens } = await draw(far, 300, { temperature: 1, topK: 700 })
  const kept = distribution(far, { temperature: 1, topK: 700 })
  assert.ok(tokens.every((t) => kept[t]! > 0))
  for (const unit of [1e-40, 1e30]) {
    const row = Float32Array.from({ length: 600 }, (_, i) => ((i * 7) % 600) * unit)
    const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b)
    const top = new Set(order.slice(0, 5))
    const drawn = await draw(row, 200, { temperature: 1, topK: 5 })
    assert.ok(
      drawn.tokens.every((t) => top.has(t)),
      `logits of ${unit}`,
    )
  }
})

test('minus infinity is never drawn, and log-probs leave it out', async () => {
  const masked = [Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 0]
  for (const settings of [{ temperature: 1 }, { temperature: 1, topK: 3 }, { temperature: 1, topP: 0.9 }]) {
    const { tokens, logprobs } = await draw(masked, 200, settings)
    assert.equal([...new Set(tokens)].sort(), [1, 3])
    for (const l of logprobs) assert.ok(Math.abs(l + Math.LN2) < 1e-6)
  }
})

test('rows without a finite maximum are errors that name the row', async () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    for (const temperature of [0, 1]) {
      const rows = new Float32Array(4 * 700).fill(1)
      rows[2 * 700 + 650] = bad
      const keys = tensor(new Int32Array(16), [4, 4], cpu)
      sample(tensor(rows, [4, 700], cpu), keys, tensor(new Int32Array(4), [4], cpu), { temperature })
      const error = await device(testDevice)
        .synchronize()
        .then(() => null)
        .catch((e: unknown) => e as Error & { code: string })
      assert.is(error?.code, 'ERR_RANGE')
      assert.match(error?.message ?? '', /^\[sample\] expected .* in row 2$/)
    }
  }
  const none = new Float32Array(40).fill(Number.NEGATIVE_INFINITY)
  const error = await draw(none, 1, { temperature: 1 }).catch((e: unknown) => e as Error & { code: string })
  assert.is((error as { code?: string }).code, 'ERR_RANGE')
})

test('a draw depends on each word of its key and on its position, not on its row', async () => {
  const one = await draw(wide, 50, { temperature: 1 })
  assert.equal((await draw(wide, 50, { temperature: 1 })).tokens, one.tokens)
  assert.equal((await draw(wide, 20, { temperature: 1 })).tokens, one.tokens.slice(0, 20))
  for (let word = 0; word < 4; word++) {
    const key = [1, 2, 3, 4]
    key[word] = -77
    const other = await draw(wide, 50, { temperature: 1, key })
    const same = other.tokens.filter((t, i) => t === one.tokens[i]).length
    assert.ok(same < 25, `word ${word}: ${same} of 50 draws are the same`)
  }
  assert.ok(new Set(one.tokens).size > 25, 'positions differ')
})

test('tokens rarer than a float can resolve are still drawn', async () => {
  // 2,000 tokens share 1e-4 of the mass (of fewer draws more): a uniform of 24 bits would reach few of them
  const n = draws * 25
  const logits = new Float32Array(2001).fill(Math.log(10 / n / 2000))
  logits[0] = 0
  const { tokens } = await draw(logits, n, { temperature: 1 })
  const rare = tokens.filter((t) => t !== 0)
  assert.ok(rare.length > 0 && rare.length < 40, `${rare.length} rare draws, expected about 10`)
})

/** The trainer's and the sampler's: on the cpu the same bits; elsewhere their sums have other orders. */
function same(sampled: Float32Array, trained: Float32Array): void {
  if (testDevice === 'cpu') {
    assert.equal(sampled, trained)
    return
  }
  assert.is(sampled.length, trained.length)
  for (const [i, x] of sampled.entries())
    assert.ok(Math.abs(x - trained[i]!) <= 1e-5 * (1 + Math.abs(x)), `row ${i}: ${x} against ${trained[i]}`)
}

const closeness = testDevice === 'cpu' ? ' bit for bit' : ''
for (const dtype of ['f32', 'bf16'] as const) {
  for (const temperature of [1, 0.7, 0]) {
    test(`the sampler's log-prob is the trainer's${closeness}, ${dtype}, temperature ${temperature}`, async () => {
      for (const [rows, width, vocabulary] of [
        [1, 64, 4999],
        [9, 200, 499],
        [70, 128, 1500],
      ] as [number, number, number][]) {
        const h = tensor(normal([rows, width], rows).values, [rows, width], { ...cpu, dtype })
        const w = tensor(normal([vocabulary, width], 5, 0.3).values, [vocabulary, width], { ...cpu, dtype })
        const keys = tensor(new Int32Array(rows * 4).fill(9), [rows, 4], cpu)
        const positions = tensor(
          Int32Array.from({ length: rows }, (_, i) => i),
          [rows],
          cpu,
        )
        const logits = linear(h, packWeight(w), { f32Output: true })
        const { token, logprob } = sample(logits, keys, positions, { temperature, topK: 50 })
        const trained = linearLogprob(h, w, token, { temperature })
        same(await logprob.toFloat32Array(), await trained.logprob.toFloat32Array())
        if (temperature === 0) {
          const values = await logits.toFloat32Array()
          const best = argmax(values.subarray(0, vocabulary))
          assert.is((await token.toInt32Array())[0], best)
        }
      }
    })
  }
}

test('settings that make no sense are errors', () => {
  const logits = tensor([1, 2], [1, 2], cpu)
  const keys = tensor(new Int32Array(4), [1, 4], cpu)
  const positions = tensor(new Int32Array(1), [1], cpu)
  for (const settings of [
    { temperature: -1 },
    { temperature: Number.NaN },
    { topK: -1 },
    { topP: 0 },
    { topP: 1.1 },
    { minP: -0.1 },
    { minP: 2 },
  ]) {
    try {
      sample(logits, keys, positions, settings)
      assert.unreachable(JSON.stringify(settings))
    } catch (error) {
      assert.is((error as { code?: string }).code, 'ERR_RANGE', JSON.stringify(settings))
    }
  }
})

test.run()
