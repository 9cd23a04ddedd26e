import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mustEnd } from '../../lib/reward/ended.js'
import { callOverlap, type PartialCredit, partialCreditReward } from '../../lib/reward/partial.js'
import { toolCallReward } from '../../lib/reward/tool-call.js'
import type { RewardSample, Score } from '../../lib/reward/types.js'
import { cpuMilliseconds } from '../support/time.js'

const call = (name: string, args: unknown) => ({ name, arguments: args })
const list = (...calls: unknown[]) => JSON.stringify(calls)

function sample(completion: string, truth?: string, finishReason: 'stop' | 'length' = 'stop'): RewardSample {
  return { prompt: '', completion, tokens: [], finishReason, example: { id: 'x', messages: [], tools: [], truth } }
}

test('what both say over what either says', () => {
  const f = call('f', { a: 1, b: 'x' }) // says 5 things
  const cases: [unknown[], unknown[], number][] = [
    [[f], [f], 1],
    [[], [], 1],
    [[], [f], 0],
    [[f], [], 0],
    [[call('g', { a: 1, b: 'x' })], [f], 0],
    [[call('f', { b: 'x', a: 1 })], [f], 1],
    [[call('f', { a: 2, b: 'x' })], [f], 4 / 6],
    [[call('f', { a: 1 })], [f], 3 / 5],
    [[call('f', {})], [f], 1 / 5],
    [[call('f', { a: 1, b: 'x', c: 0 })], [f], 5 / 7],
    [[f, f], [f], 5 / 10],
    [[f], [f, call('g', {})], 5 / 6],
    // the second of the given calls is the better partner, whatever the order
    [[call('f', { a: 2 }), call('f', { a: 1 })], [call('f', { a: 1 })], 3 / 6],
    [[call('f', { a: 2 }), call('f', { a: 1 })], [call('f', { a: 1 }), call('f', { a: 2 })], 1],
    [[call('f', [1])], [call('f', [1])], 1],
    [[call('f', [1])], [call('f', [2])], 2 / 4],
    [[call('f', null)], [call('f', {})], 1 / 3],
    [[call('f', { a: { x: 1, y: 2 } })], [call('f', { a: { y: 2, x: 1 } })], 1],
  ]
  for (const [given, expected, share] of cases) {
    const shown = `${list(...given)} for ${list(...expected)}`
    assert.is(callOverlap(given as never, expected as never), share, shown)
    assert.is(callOverlap(expected as never, given as never), share, `${shown}, the other way round`)
  }
})

test('what is too many can cost less than what is missing', () => {
  const f = call('f', { a: 1 })
  assert.is(callOverlap([f, call('g', { a: 1 })], [f], 0.5), 3 / (3 + 0.5 * 3))
  assert.is(callOverlap([f], [f, call('g', { a: 1 })], 0.5), 3 / (3 + 3))
  assert.is(callOverlap([f], [], 0), 0)
})

test('numbers keep their type, and a key called __proto__ is a key', () => {
  assert.is(callOverlap([call('f', { a: 1 })], '[{"name": "f", "arguments": {"a": 1.0}}]'), 2 / 4)
  assert.is(callOverlap([], '[{"name": "f", "arguments": {"__proto__": 1}}]'), 0)
  const reply = '<think></think><tool_call>[{"name": "f", "arguments": {"__proto__": 1}}]</tool_call>'
  const score = partialCreditReward()(sample(reply, '[{"name": "f", "arguments": {"__proto__": 1}}]'))
  assert.is((score as Score).reward, 1)
})

test('1 for exact, 0 for malformed, credit between; more credit never costs more than being right', () => {
  const truth = list(call('f', { a: 1, b: 'x' }))
  const paid = (block: string, credit?: PartialCredit, thought = '<think>t</think>') =>
    partialCreditReward(credit)(sample(`${thought}<tool_call>${block}</tool_call>`, truth)) as Score
  assert.is(paid(truth).reward, 1)
  assert.is(paid(truth, undefined, '').reward, 0, 'no thought')
  assert.is(paid('[').reward, 0)
  assert.is(paid('[1]').reward, 0)
  assert.is(paid('[]').reward, 0.1)
  const near = paid(list(call('f', { a: 1 })))
  assert.is(
    paid(list(call('f', { a: 1, b: 'x', c: 0 }))).reward,
    0.1 + 0.4 * (5 / (5 + 0.5 * 2)),
    'too many costs half',
  )
  assert.is(paid(list(call('f', { a: 1, b: 'x', c: 0 })), { tooMany: 0 }).reward, 0.5)
  assert.is(near.reward, 0.1 + 0.4 * (3 / 5))
  assert.equal(near.parts, { format: 1, name: 1, arguments: 0, overlap: 3 / 5 })
  assert.is(near.explain, 'f: argument b is missing')
  assert.is(paid(list(call('f', { a: 1 })), { format: 0, overlap: 1 }).reward, 3 / 5)
  assert.is(partialCreditReward()(sample('x')), null, 'no truth')
})

test('credits that could pay more than a right reply are refused', () => {
  for (const credit of [{ format: -1 }, { overlap: 0.95 }, { format: NaN }, { overlap: Infinity }, { tooMany: -1 }]) {
    assert.throws(() => partialCreditReward(credit), /\[reward\] expected format and overlap/)
  }
})

test('a reply that is cut at the limit is worth 0 and says so; null stays null', async () => {
  const truth = list(call('f', {}))
  const right = `<think></think><tool_call>${truth}</tool_call>`
  const reward = mustEnd(partialCreditReward())
  assert.is(((await reward(sample(right, truth))) as Score).reward, 1)
  const cut = (await reward(sample(right, truth, 'length'))) as Score
  assert.is(cut.reward, 0)
  assert.is(cut.explain, 'the reply does not end')
  assert.is(cut.parts?.arguments, 1)
  assert.is(await reward(sample(right, undefined, 'length')), null)
  assert.equal(await mustEnd(() => 0.5)(sample('', truth, 'length')), { reward: 0, explain: 'the reply does not end' })
  assert.is(await mustEnd(() => 0.5)(sample('', truth)), 0.5)
  assert.is(reward.name, 'mustEnd(partialCredit)')
  assert.is(mustEnd(toolCallReward('v3')).name, 'mustEnd(v3)')
})

test('a reply of a megabyte takes time in proportion', () => {
  const many = list(...Array.from({ length: 30_000 }, (_, i) => call('f', { a: i })))
  const truth = list(call('f', { a: 1 }), call('f', { a: 2 }), call('f', { a: 3 }))
  const reply = `<think></think><tool_call>${many}</tool_call>`
  const ms = cpuMilliseconds(() => partialCreditReward()(sample(reply, truth)))
  assert.ok(ms < 1000, `${ms} ms`)
})

test.run()
