import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ModelResults, pairedDifference, pooled, verdictOf } from '../../lib/cli/study/results/gather.js'
import { wilson } from '../../lib/eval/intervals.js'

/** A model whose seeds answered questions rightly (1) or not (0), in order. */
const model = (answers: Record<string, string>): ModelResults => ({
  training: 'm',
  label: 'M',
  seeds: Object.entries(answers).map(([seed, text]) => ({
    seed: seed === 'base' ? null : Number(seed),
    verdicts: { dev: new Map([...text].map((c, i) => [`q ${i}`, c === '1'])) },
    rates: null,
    minutes: {},
    machines: [],
    differs: [],
    metrics: [],
  })),
})

test('one seed has the interval of its questions, several that of the means by question', () => {
  assert.equal(pooled(model({ 0: '1100' }), 'dev'), wilson(2, 4))
  // by question 1, 0.5, 0, 0: mean 3/8, deviation of the sample 0.4787, Student's 97.5 % with 3 degrees 3.1824
  const { value, low, high } = pooled(model({ 0: '1100', 1: '1000' }), 'dev')!
  assert.is(value, 0.375)
  assert.is(low, 0)
  assert.ok(Math.abs(high - Math.min(1, 0.375 + 3.1824 * 0.478714 * 0.5)) < 1e-4, String(high))
  assert.is(pooled(model({}), 'dev'), null)
})

test('a difference is taken question by question, over the seeds that both have', () => {
  const better = model({ 0: '1111', 1: '0000' })
  const found = pairedDifference(better, model({ 0: '1010', 2: '1111' }), 'dev')!
  assert.is(found.seeds, 1)
  assert.is(found.estimate.value, 0.5)
  const both = pairedDifference(better, model({ 0: '0000', 1: '0000' }), 'dev')!
  assert.is(both.seeds, 2)
  assert.is(both.estimate.value, 0.5)
  assert.is(pairedDifference(better, model({ 5: '1111' }), 'dev'), null)
})

test('a model without seeds stands beside every seed, on either side', () => {
  const base = model({ base: '0011' })
  const trained = model({ 0: '1111', 1: '0111' })
  const one = pairedDifference(trained, base, 'dev')!
  const other = pairedDifference(base, trained, 'dev')!
  assert.is(one.seeds, 2)
  assert.is(other.seeds, 2)
  assert.is(one.estimate.value, 0.375)
  assert.is(other.estimate.value, -0.375)
})

test('the verdict is where the interval lies', () => {
  const at = (low: number, high: number) => verdictOf({ estimate: { value: (low + high) / 2, low, high } })
  assert.is(at(0.01, 0.1), 'supports')
  assert.is(at(-0.1, -0.01), 'contradicts')
  assert.is(at(-0.1, 0.1), 'cannot tell')
  assert.is(at(0, 0), 'cannot tell')
  assert.is(verdictOf(null), 'not run yet')
  // pairing tells what the two rates alone would not: 60 of 100 against 50, each lead on a question of its own
  const ten = (n: number) => '1'.repeat(n) + '0'.repeat(100 - n)
  assert.is(verdictOf(pairedDifference(model({ 0: ten(60) }), model({ 0: ten(50) }), 'dev')), 'supports')
})

test.run()
