import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { grpoLoss, totalsOf } from '../../../lib/train/losses/grpo.js'
import { addSums, emptySums, lossMetrics } from '../../../lib/train/losses/metrics.js'
import type { LossInput, LossSettings, LossType } from '../../../lib/train/losses/types.js'
import { randomInput, settings } from './support.js'

const types: LossType[] = ['grpo', 'bnpo', 'dr_grpo', 'dapo', 'cispo', 'sapo', 'luspo', 'vespo']
const levels = ['token', 'sequence'] as const
const lengths = [7, 0, 1, 11, 3]

/** Every loss type at both levels, with and without KL, its ratio factor, the upper bound and the mismatch weights. */
function* variants(): Iterable<LossSettings & { weighted: boolean }> {
  for (const lossType of types) {
    for (const importanceSamplingLevel of levels) {
      for (const beta of [0, 0.13]) {
        for (const useBiasCorrectionKl of beta > 0 ? [true, false] : [true]) {
          for (const weighted of [true, false]) {
            const epsilonHigh = lossType === 'cispo' ? 1.1 : 0.28
            const delta = weighted ? 1.45 : null
            yield {
              ...settings,
              lossType,
              importanceSamplingLevel,
              beta,
              useBiasCorrectionKl,
              weighted,
              epsilonHigh,
              delta,
            }
          }
        }
      }
    }
  }
}

const title = (s: LossSettings) => `${s.lossType} ${s.importanceSamplingLevel} beta ${s.beta} ${s.useBiasCorrectionKl}`

test('gradients equal finite differences', () => {
  const step = 1e-5
  let checked = 0
  for (const variant of variants()) {
    const input = randomInput(lengths, 3)
    if (!variant.weighted) input.weight = null
    // cispo and vespo hold the ratio constant, so the old log-prob moves along with the new one.
    const held = variant.lossType === 'cispo' || variant.lossType === 'vespo'
    if (held && variant.beta > 0 && variant.useBiasCorrectionKl) continue
    const { dLogprob } = grpoLoss(input, variant)
    const lossAt = (t: number, by: number) => {
      const logprob = input.logprob.slice()
      const old = input.old.slice()
      logprob[t]! += by
      if (held) old[t]! += by
      return grpoLoss({ ...input, logprob, old }, variant).loss
    }
    for (let t = 0; t < input.logprob.length; t++) {
      const slope = (lossAt(t, step) - lossAt(t, -step)) / (2 * step)
      assert.ok(Math.abs(slope - dLogprob[t]!) < 1e-6, `${title(variant)}: token ${t}: ${slope} and ${dLogprob[t]}`)
      checked++
    }
  }
  assert.ok(checked > 1000)
})

test('the KL term of a loss that holds its ratio still moves it, where KL is multiplied by the ratio', () => {
  const zero = randomInput(lengths, 5)
  zero.advantage = lengths.map(() => 0)
  const ways = (['cispo', 'vespo', 'dapo'] as const).map((lossType) =>
    Array.from(grpoLoss(zero, { ...settings, lossType, beta: 0.2 }).dLogprob),
  )
  assert.equal(ways[0], ways[2])
  assert.equal(ways[1], ways[2])
})

test('microbatches of whole completions sum up to the update: loss, gradients and metrics', () => {
  for (const variant of variants()) {
    const whole = randomInput(lengths, 7)
    const totals = totalsOf(whole)
    const expected = grpoLoss(whole, variant, totals)
    const sums = emptySums()
    const gradients: number[] = []
    let loss = 0
    for (const [from, to] of [
      [0, 2],
      [2, 3],
      [3, 5],
    ] as const) {
      const part = grpoLoss(slice(whole, from, to), variant, totals)
      loss += part.loss
      gradients.push(...part.dLogprob)
      addSums(sums, part.sums)
    }
    assert.ok(Math.abs(loss - expected.loss) < 1e-12, title(variant))
    assert.equal(gradients, Array.from(expected.dLogprob), title(variant))
    const [a, b] = [lossMetrics(sums, variant), lossMetrics(expected.sums, variant)]
    assert.equal(Object.keys(a), Object.keys(b))
    for (const [key, value] of Object.entries(a))
      assert.ok(Math.abs(value - b[key]!) < 1e-12, `${title(variant)} ${key}`)
  }
})

function slice(input: LossInput, from: number, to: number): LossInput {
  const [start, end] = [input.offsets[from]!, input.offsets[to]!]
  const part = (x: ArrayLike<number> | null | undefined) => (x ? Array.from(x).slice(start, end) : null)
  return {
    offsets: Array.from(input.offsets)
      .slice(from, to + 1)
      .map((x) => x - start),
    logprob: part(input.logprob)!,
    old: part(input.old),
    reference: part(input.reference),
    mask: part(input.mask),
    weight: part(input.weight),
    entropy: part(input.entropy),
    advantage: Array.from(input.advantage).slice(from, to),
  }
}

test('without old log-probs the update is on-policy: ratio 1, gradient -A over the tokens', () => {
  const input = { ...randomInput([2, 3], 9), old: null, weight: null, mask: null, advantage: [1, -0.5] }
  const { dLogprob, loss, sums } = grpoLoss(input, settings)
  const expected = [-0.2, -0.2, 0.1, 0.1, 0.1]
  for (const [t, g] of expected.entries()) assert.ok(Math.abs(dLogprob[t]! - g) < 1e-7)
  assert.ok(Math.abs(loss - (-2 * 1 + 3 * 0.5) / 5) < 1e-12)
  assert.is(lossMetrics(sums, settings)['clip_ratio/region_mean'], 0)
})

test('fully masked and empty completions have no gradient but count as completions', () => {
  const input = { ...randomInput([3, 2, 0], 11), mask: [1, 1, 1, 0, 0], weight: null }
  const alone = slice(input, 0, 1)
  for (const lossType of types) {
    const { loss, dLogprob } = grpoLoss(input, { ...settings, lossType })
    const single = grpoLoss(alone, { ...settings, lossType }, { completions: 1, tokens: 3 })
    const share = ['bnpo', 'dapo', 'cispo', 'vespo'].includes(lossType) ? 1 : 1 / 3
    assert.ok(Math.abs(loss - single.loss * share) < 1e-12, lossType)
    assert.equal(Array.from(dLogprob.slice(3)), [0, 0], lossType)
  }
})

test('an update in which nothing counts has loss 0 and metrics without NaN', () => {
  for (const input of [randomInput([], 1), { ...randomInput([2, 1], 1), mask: [0, 0, 0] }]) {
    for (const variant of variants()) {
      const { loss, dLogprob, sums } = grpoLoss(input, variant)
      assert.is(Math.abs(loss), 0)
      assert.ok(dLogprob.every((g) => g === 0))
      for (const [key, value] of Object.entries(lossMetrics(sums, variant))) assert.ok(Number.isFinite(value), key)
    }
  }
})

test('NaN in a token that counts reaches the loss; in a masked one it is never read', () => {
  for (const variant of variants()) {
    const input = { ...randomInput([4], 13), mask: [1, 0, 1, 1] }
    if (!variant.weighted) input.weight = null
    const clean = grpoLoss(input, variant)
    const hidden = input.logprob.slice()
    hidden[1] = Number.NaN
    assert.is(grpoLoss({ ...input, logprob: hidden }, variant).loss, clean.loss, title(variant))
    const seen = input.logprob.slice()
    seen[2] = Number.NaN
    assert.ok(Number.isNaN(grpoLoss({ ...input, logprob: seen }, variant).loss), title(variant))
    const onPolicy = { ...input, old: null, logprob: seen }
    assert.is.not(Number.isFinite(grpoLoss(onPolicy, variant).loss), true, `${title(variant)}, on-policy`)
  }
})

test('lengths that disagree and a missing reference are errors', () => {
  const input = randomInput([2, 3], 1)
  assert.throws(() => grpoLoss({ ...input, advantage: [1] }, settings), /expected advantage of 2 elements, got 1/)
  assert.throws(() => grpoLoss({ ...input, old: [1, 2] }, settings), /expected old of 5 elements, got 2/)
  assert.throws(() => grpoLoss({ ...input, offsets: [0, 4] }, settings), /ERR_SHAPE|expected/)
  assert.throws(
    () => grpoLoss({ ...input, reference: null }, { ...settings, beta: 0.1 }),
    /expected reference log-probs/,
  )
})

test.run()
