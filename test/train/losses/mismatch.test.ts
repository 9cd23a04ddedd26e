import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addMismatch, emptyMismatch, mismatchMetrics, mismatchWeights } from '../../../lib/train/losses/mismatch.js'

const ln = Math.log
const input = {
  offsets: [0, 3, 4],
  old: [ln(0.5), ln(0.4), ln(0.1), ln(0.2)],
  sampled: [ln(0.25), ln(0.4), ln(0.9), ln(0.02)],
  mask: [1, 1, 0, 1],
}
const weights = (mode: Parameters<typeof mismatchWeights>[1], cap = 3) =>
  Array.from(mismatchWeights(input, mode, cap).weight!, (w) => Math.round(w * 1e6) / 1e6)

test('weights are exp(old - sampled), capped or masked, per token or per completion', () => {
  assert.equal(weights('token_truncate'), [2, 1, 1, 3])
  assert.equal(weights('token_mask'), [2, 1, 1, 0])
  assert.equal(weights('sequence_truncate'), [2, 2, 1, 3])
  assert.equal(weights('sequence_mask', 1.5), [0, 0, 1, 0])
  assert.is(mismatchWeights(input, 'none', 3).weight, null)
})

test('the difference is reported over the tokens that count, however they are divided', () => {
  const whole = mismatchMetrics(mismatchWeights(input, 'token_truncate', 3).sums)
  assert.ok(Math.abs(whole['sampling/sampling_logp_difference/max']! - ln(10)) < 1e-12)
  assert.ok(Math.abs(whole['sampling/sampling_logp_difference/mean']! - (ln(2) + ln(10)) / 3) < 1e-12)
  assert.ok(Math.abs(whole['sampling/importance_sampling_ratio/mean']! - 2) < 1e-6)
  const sums = emptyMismatch()
  for (const [a, b] of [
    [0, 3],
    [3, 4],
  ] as const) {
    const part = (x: number[]) => x.slice(a, b)
    const piece = { offsets: [0, b - a], old: part(input.old), sampled: part(input.sampled), mask: part(input.mask) }
    addMismatch(sums, mismatchWeights(piece, 'token_truncate', 3).sums)
  }
  for (const [key, value] of Object.entries(mismatchMetrics(sums)))
    assert.ok(Math.abs(value - whole[key]!) < 1e-12, key)
})

test('a log-prob that the sampler could not give weighs 1; one that the trainer could not give shows', () => {
  const unknown = mismatchWeights({ offsets: [0, 2], old: [-1, -2], sampled: [Number.NaN, -2] }, 'token_mask', 3)
  assert.equal(Array.from(unknown.weight!), [1, 1])
  assert.is(unknown.sums.tokens, 1)
  const broken = mismatchWeights({ offsets: [0, 2], old: [Number.NaN, -2], sampled: [-1, -2] }, 'none', 3)
  assert.ok(Number.isNaN(mismatchMetrics(broken.sums)['sampling/sampling_logp_difference/max']))
})

test.run()
