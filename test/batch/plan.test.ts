import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { planGroups, planSequences } from '../../lib/batch.js'

const rowsOf = (
  groups: { promptTokens: number; completionTokens: number[] }[],
  parts: { group: number; completions: number[] }[],
) =>
  parts.reduce((sum, { group, completions }) => {
    const { promptTokens, completionTokens } = groups[group]!
    return sum + promptTokens - 1 + completions.reduce((rows, i) => rows + completionTokens[i]!, 0)
  }, 0)

test('every completion with rows appears exactly once, whatever the budget', () => {
  const groups = [
    { promptTokens: 5, completionTokens: [3, 0, 7, 2] },
    { promptTokens: 1, completionTokens: [1, 1] },
    { promptTokens: 9, completionTokens: [0, 0] },
    { promptTokens: 30, completionTokens: [4, 4, 4] },
  ]
  for (let budget = 1; budget < 80; budget++) {
    const plan = planGroups(groups, budget)
    const seen = plan.flat().flatMap(({ group, completions }) => completions.map((i) => `${group}.${i}`))
    assert.equal(seen, ['0.0', '0.2', '0.3', '1.0', '1.1', '3.0', '3.1', '3.2'])
    for (const batch of plan) {
      const alone = batch.length === 1 && batch[0]!.completions.length === 1
      assert.ok(alone || rowsOf(groups, batch) <= budget, `budget ${budget}`)
    }
  }
})

test('a group that fits is never cut', () => {
  const plan = planGroups(
    [
      { promptTokens: 5, completionTokens: [3, 3] },
      { promptTokens: 5, completionTokens: [3, 3] },
    ],
    12,
  )
  assert.equal(plan, [[{ group: 0, completions: [0, 1] }], [{ group: 1, completions: [0, 1] }]])
})

test('sequences fill microbatches in order', () => {
  assert.equal(planSequences([4, 4, 0, 9, 2, 6], 8), [[0, 1], [3], [4, 5]])
})

test('a budget below one row is an error', () => {
  assert.throws(() => planSequences([1], 0), /expected tokensPerMicrobatch to be at least 1, got 0/)
  assert.throws(() => planGroups([], Number.NaN), /got NaN/)
})

test.run()
