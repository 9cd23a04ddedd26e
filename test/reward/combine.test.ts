import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { scoreRollouts } from '../../lib/reward/combine.js'
import { checkReply, replyRates } from '../../lib/reward/stats.js'
import type { RewardFunction, RewardSample } from '../../lib/reward/types.js'

const sample = (id: string, completion = ''): RewardSample => ({
  prompt: '',
  completion,
  tokens: [1, 2],
  finishReason: 'stop',
  example: { id, messages: [], tools: [] },
})
const samples = ['a', 'b', 'c'].map((id) => sample(id, id))
const by =
  (values: Record<string, unknown>): RewardFunction =>
  (s) =>
    values[s.example.id] as number

test('a weighted sum over the rewards that apply', async () => {
  const scored = await scoreRollouts(
    [
      { name: 'x', weight: 2, fn: by({ a: 1, b: null, c: null }) },
      { name: 'y', fn: async (s) => by({ a: -0.5, b: 3, c: null })(s) },
    ],
    samples,
  )
  assert.equal([...scored.total], [1.5, 3, 0])
  assert.equal(scored.perReward, { x: [1, null, null], y: [-0.5, 3, null] })
  assert.equal(scored.unscored, [2])
})

test('parts and explanations are kept, under the name of the reward where there are several', async () => {
  const fn: RewardFunction = () => ({ reward: 1, parts: { format: 1 }, explain: 'fine' })
  const one = await scoreRollouts([{ name: 'x', fn }], samples.slice(0, 1))
  assert.equal(one.details, [{ parts: { format: 1 }, explain: 'fine' }])
  const rewards = ['x', 'y'].map((name) => ({ name, fn }))
  const two = await scoreRollouts(rewards, samples.slice(0, 1))
  assert.equal(two.details, [{ parts: { 'x/format': 1, 'y/format': 1 }, explain: 'x: fine; y: fine' }])
})

test('slow rewards wait together', async () => {
  let waiting = 0
  let most = 0
  const fn: RewardFunction = async () => {
    most = Math.max(most, ++waiting)
    await new Promise((resolve) => setTimeout(resolve, 5))
    waiting--
    return 1
  }
  await scoreRollouts(
    [
      { name: 'x', fn },
      { name: 'y', fn },
    ],
    samples,
  )
  assert.is(most, 6)
})

const rejects = async (fn: RewardFunction, pattern: RegExp) => {
  try {
    await scoreRollouts([{ name: 'x', fn }], samples)
  } catch (error) {
    assert.match((error as Error).message, pattern)
    assert.is((error as { code: string }).code, 'ERR_REWARD')
    return error as Error
  }
  return assert.unreachable('expected a rejection')
}

test('an exception names reward and sample and keeps its cause', async () => {
  const cause = new Error('boom')
  const throwing: RewardFunction = (s) => {
    if (s.example.id === 'b') throw cause
    return 0
  }
  const error = await rejects(throwing, /"x" on example "b" threw: boom/)
  assert.is(error?.cause, cause)
  await rejects(async (s) => throwing(s), /"x" on example "b" threw: boom/)
})

test('what is no score is an error that names the sample', async () => {
  await rejects(() => Number.NaN, /"x" on example "a": expected a finite number.*got reward NaN/)
  await rejects((() => undefined) as unknown as RewardFunction, /got undefined/)
  await rejects((() => '1') as unknown as RewardFunction, /got string/)
  await rejects((() => ({})) as unknown as RewardFunction, /got reward undefined/)
})

test('settings that make no sense are refused', async () => {
  const fn = () => 1
  const refused = async (rewards: Parameters<typeof scoreRollouts>[0]) => {
    const error = await scoreRollouts(rewards, samples).catch((e: unknown) => e)
    assert.is((error as { code?: string }).code, 'ERR_CONFIG')
  }
  await refused([])
  await refused([
    { name: 'x', fn },
    { name: 'x', fn },
  ])
  await refused([{ name: 'x', weight: Number.NaN, fn }])
})

test('rates of a batch', () => {
  const truth = '[{"name": "f", "arguments": {"a": 1}}]'
  const block = (args: string) => `<tool_call>[{"name": "f", "arguments": ${args}}]</tool_call>`
  const replies = [
    `<think></think>${block('{"a": 1}')}`,
    block('{"a": 1}'),
    `<think></think>${block('{"a": 2}')}`,
    'no',
  ]
  const checks = replies.map((text) => checkReply(text, truth))
  assert.equal(
    checks.map(({ exact }) => exact),
    [true, false, false, false],
  )
  assert.equal(replyRates(checks), {
    'reward/format_rate': 0.5,
    'reward/name_rate': 0.75,
    invalid_tool_call_rate: 0.25,
  })
})

test.run()
