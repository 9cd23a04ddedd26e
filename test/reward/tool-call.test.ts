import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { matchToolCalls } from '../../lib/reward/match.js'
import { type Variant, variants } from '../../lib/reward/parse.js'
import { scoreToolCalls, toolCallReward } from '../../lib/reward/tool-call.js'
import type { FamilyResult } from '../parity/result.js'
import { checkRewards } from '../parity/tool-n1.js'
import { repositoryRoot } from '../support/shared.js'
import { cpuMilliseconds } from '../support/time.js'

const reply = (calls: string, thought = '<think>x</think>') => `${thought}<tool_call>${calls}</tool_call>`
const call = (name: string, args: string) => `{"name": "${name}", "arguments": ${args}}`
const explain = (given: string, truth: string) => scoreToolCalls(reply(given), truth).explain

test('every score of the golden replies, six variants', () => {
  const result: FamilyResult = { family: 'own', cases: 0, failed: 0, max_error: 0, messages: [] }
  checkRewards(join(repositoryRoot, 'test/fixtures/tool-n1-rewards.jsonl'), result)
  assert.equal(result.messages.slice(0, 5), [])
  assert.is(result.cases, 330 * 6)
  assert.is(result.max_error, 0)
})

test('the scores of the table: exact, right names, wrong calls, not calls, not JSON; with and without a thought', () => {
  const truth = `[${call('f', '{"a": 1}')}]`
  const blocks = [truth, `[${call('f', '{"a": 2}')}]`, `[${call('g', '{}')}]`, '[1]', '[']
  const expected: Record<Variant, number[]> = {
    v0: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    v1: [1.2, -0.2, -0.2, -0.2, 0, 1, 0, 0, 0, 0],
    v2: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    v3: [1, 0.2, 0.2, 0.2, 0.2, 0.8, 0, 0, 0, 0],
    v4: [1, 0.4, 0.2, 0.2, 0.2, 0.8, 0.2, 0, 0, 0],
    llama: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  }
  for (const variant of variants) {
    const texts = [...blocks.map((block) => reply(block)), ...blocks.map((block) => reply(block, ''))]
    const scores = texts.map((text) => scoreToolCalls(text, truth, variant).reward)
    assert.equal(scores, expected[variant], variant)
  }
})

test('explains itself by the first difference', () => {
  const f = (args: string) => `[${call('f', args)}]`
  assert.equal(scoreToolCalls(reply(f('{"a":1.0}')), f('{"a":1}')), {
    reward: 0,
    parts: { format: 1, name: 1, arguments: 0 },
    explain: 'f: argument a is 1.0, expected 1',
  })
  assert.is(explain(f('{"a": "1"}'), f('{"a": 1}')), 'f: argument a is "1", expected 1')
  assert.is(explain(f('{"a": true}'), f('{"a": 1}')), 'f: argument a is true, expected 1')
  assert.is(explain(f('{}'), f('{"a": 1}')), 'f: argument a is missing')
  assert.is(explain(f('{"a": 1, "b": 2}'), f('{"a": 1}')), 'f: argument b is not expected')
  assert.is(explain(f('{"a": {"b": [1, 2]}}'), f('{"a": {"b": [1, 3]}}')), 'f: argument a.b[1] is 2, expected 3')
  assert.is(explain(f('{"a": [1]}'), f('{"a": [1, 2]}')), 'f: argument a is [1], expected [1, 2]')
  assert.is(explain(f('null'), f('{}')), 'f: arguments is null, expected {}')
  assert.is(explain(f('{}'), `[${call('g', '{}')}]`), 'a call of f, expected g')
  assert.is(explain('[]', f('{}')), 'a call of f is missing')
  assert.is(explain(f('{}'), '[]'), 'a call of f too many')
  assert.is(explain(f('{"a": 1}'), f('{"a": 1}')), 'match')
  const two = `[${call('f', '{"a": 1}')}, ${call('f', '{"a": 2}')}]`
  const other = `[${call('f', '{"a": 2}')}, ${call('f', '{"a": 3}')}]`
  assert.is(explain(two, other), 'f: argument a is 1, expected 3')
  assert.is(scoreToolCalls('x', '[]').explain, 'no <think> and </think>; no <tool_call>…</tool_call> block')
  assert.is(scoreToolCalls('x', '[]', 'v2').explain, 'no <tool_call>…</tool_call> block')
})

test('order of calls and keys is free, order in lists counts, numbers keep their kind', () => {
  const exact = (given: string, truth: string) => scoreToolCalls(reply(given), truth).reward === 1
  const a = call('f', '{"x": 1, "y": {"p": 1, "q": 2}}')
  const b = call('g', '{}')
  assert.ok(exact(`[${a}, ${b}]`, `[${b}, ${call('f', '{"y": {"q": 2, "p": 1}, "x": 1}')}]`))
  assert.not.ok(exact(`[${a}, ${a}]`, `[${a}]`))
  assert.not.ok(exact(`[${a}, ${a}, ${b}]`, `[${a}, ${b}, ${b}]`))
  const value = (x: string, y: string) => exact(`[${call('f', `{"v": ${x}}`)}]`, `[${call('f', `{"v": ${y}}`)}]`)
  assert.ok(value('1152921504606846976', '1152921504606846976'))
  assert.not.ok(value('1152921504606846976', '1152921504606846977'))
  assert.not.ok(value('[1, 2]', '[2, 1]'))
  assert.ok(value('1e2', '100.0'))
  assert.not.ok(value('1e2', '100'))
  assert.not.ok(value('5', '5.0'))
  assert.ok(value('"\\u00e9"', '"é"'))
  assert.ok(value('{"__proto__": 1}', '{"__proto__": 1}'))
  assert.not.ok(value('{"__proto__": 1}', '{}'))
})

test('a truth may be calls instead of text', () => {
  const truth = [{ name: 'f', arguments: { a: [1, 'x'], b: { c: null } } }]
  assert.is(scoreToolCalls(reply('[{"name":"f","arguments":{"b":{"c":null},"a":[1,"x"]}}]'), truth).reward, 1)
  assert.equal(matchToolCalls(truth, JSON.stringify(truth)), { names: true, exact: true, difference: null })
  assert.is(matchToolCalls([], truth).names, false)
})

test('a truth that is no list of calls is an error, whatever the reply says', () => {
  for (const truth of ['', '{}', '5', '[1]', '[{"name": "f"}]', '[{']) {
    for (const text of ['', reply('[]'), reply('5')]) {
      assert.throws(
        () => scoreToolCalls(text, truth),
        (error: { code: string }) => error.code === 'ERR_TRUTH',
      )
    }
  }
})

test('an unknown variant is an error before the first sample', () => {
  assert.throws(() => toolCallReward('v9' as Variant), /expected a variant of v0, v1/)
})

test('the reward function passes over examples without a truth', () => {
  const example = { id: 'a', messages: [], tools: [] }
  const sample = { prompt: '', completion: reply('[]'), tokens: [], finishReason: 'stop' as const, example }
  assert.is(toolCallReward()(sample), null)
  const scored = toolCallReward('v1')({ ...sample, example: { ...example, truth: '[]' } })
  assert.is((scored as { reward: number }).reward, 1.2)
})

test('no reply takes long, right names with a thousand arguments included', () => {
  const args = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i]))
  const calls = Array.from({ length: 5_000 }, (_, i) => ({ name: 'f', arguments: { i } }))
  const truths = [[{ name: 'f', arguments: args }], calls]
  for (const truth of truths) {
    const text = reply(JSON.stringify(truth).replace(/(\d)}/, '$1.0}'))
    const took = cpuMilliseconds(() => assert.is(scoreToolCalls(text, truth).reward, 0))
    assert.ok(took < 2000, `${took} ms`)
  }
})

test.run()
