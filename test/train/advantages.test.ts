import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { groupAdvantages, rewardMetrics } from '../../lib/train/advantages.js'

const near = (got: ArrayLike<number>, expected: number[], tolerance = 1e-4) => {
  assert.is(got.length, expected.length)
  for (const [i, x] of expected.entries()) assert.ok(Math.abs(got[i]! - x) < tolerance, `${i}: ${got[i]} and ${x}`)
}

test('one right answer in five gives the figures that TRL gives', () => {
  near(groupAdvantages([1, 0, 0, 0, 0], [5], 'group').advantage, [1.7885, -0.4471, -0.4471, -0.4471, -0.4471])
})

test('scaling by the group, the batch or nothing; the mean is always of the group', () => {
  const rewards = [1, 3, 10, 10]
  near(groupAdvantages(rewards, [2, 2], 'none').advantage, [-1, 1, 0, 0])
  near(groupAdvantages(rewards, [2, 2], 'group').advantage, [-0.70706, 0.70706, 0, 0])
  const batch = Math.sqrt((25 + 9 + 16 + 16) / 3) + 1e-4
  near(groupAdvantages(rewards, [2, 2], 'batch').advantage, [-1 / batch, 1 / batch, 0, 0])
})

test('a reward that does not apply is left out and gets advantage 0', () => {
  const nan = Number.NaN
  near(groupAdvantages([1, nan, 0, nan, nan, nan], [3, 3], 'group').advantage, [0.70701, 0, -0.70701, 0, 0, 0])
  near(groupAdvantages([1, nan], [2], 'group').advantage, [0, 0])
})

test('equal rewards give exactly 0, and the metrics say how many groups were so', () => {
  const rewards = [0, 0, 1, 1, 1, 0, 5, 5]
  const groups = [2, 2, 2, 2]
  const advantages = groupAdvantages(rewards, groups, 'group')
  assert.equal(
    [0, 1, 2, 3, 6, 7].map((i) => advantages.advantage[i]),
    [0, 0, 0, 0, 0, 0],
  )
  const metrics = rewardMetrics(rewards, groups, advantages)
  assert.is(metrics.frac_reward_zero_std, 0.75)
  assert.is(metrics['baseline_reward/pct_0'], 25)
  assert.is(metrics['baseline_reward/pct_1'], 25)
  assert.is(metrics['baseline_reward/pct_mixed'], 50)
  assert.is(metrics.reward, 13 / 8)
})

test('rewards that are all unknown report no mean instead of NaN', () => {
  const rewards = [Number.NaN, Number.NaN]
  const metrics = rewardMetrics(rewards, [2], groupAdvantages(rewards, [2], 'group'))
  assert.ok(!('reward' in metrics) && !('reward_std' in metrics))
  assert.is(metrics.frac_reward_zero_std, 0)
})

test.run()
