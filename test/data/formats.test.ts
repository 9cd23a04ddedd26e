import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Example } from '../../lib/data/example.js'
import { readToolAce } from '../../lib/data/formats/toolace.js'
import { type DatasetOptions, loadDataset, readDataset } from '../../lib/data/load.js'
import { type JsonValue, parseJson } from '../../lib/text/json.js'
import { toolN1System } from '../../lib/text/prompts/tool-n1.js'
import type { FamilyResult } from '../parity/result.js'
import { checkSamples } from '../parity/tool-n1.js'
import { repositoryRoot, sharedPath } from '../support/shared.js'

const fixture = (name: string) => join(repositoryRoot, 'test', 'fixtures', name)
const read = (records: unknown[], options: DatasetOptions = {}) =>
  readDataset('d.jsonl', new TextEncoder().encode(records.map((r) => JSON.stringify(r)).join('\n')), options)
const one = (record: unknown, options?: DatasetOptions): Example => {
  const { examples } = read([record], options)
  assert.is(examples.length, 1)
  return examples[0] as Example
}
const tool = { name: 'f', description: 'd', parameters: { type: 'object', properties: { a: { type: 'integer' } } } }
const wrapped = { type: 'function', function: tool }
const user = (content: string) => ({ role: 'user', content })

test("samples as Tool-N1's own processing makes them: messages to the byte, answers as values", () => {
  const result: FamilyResult = { family: 'own', cases: 0, failed: 0, max_error: 0, messages: [] }
  checkSamples(fixture('tool-n1-samples.jsonl'), result)
  assert.equal(result.messages, [])
  assert.ok(result.cases >= 30, `${result.cases}`)
})

test("OpenAI's messages: every turn with calls is a sample, arguments are JSON text, content may be null", () => {
  const record = {
    messages: [
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'one ' },
          { type: 'text', text: 'two' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a": 1.0}' } },
          { id: 'c2', type: 'function', function: { name: 'f', arguments: '' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: '7' },
      { role: 'assistant', content: 'Seven.', weight: 0 },
      user('again'),
      { role: 'assistant', content: 'Well:', function_call: { name: 'f', arguments: { a: 2 } } },
      user('and'),
      { role: 'assistant', weight: 0, tool_calls: [{ function: { name: 'f', arguments: '{}' } }] },
    ],
    tools: [wrapped],
    parallel_tool_calls: true,
  }
  const { examples } = read([record], { prompt: 'native' })
  assert.equal(
    examples.map(({ id, truth }) => [id, truth]),
    [
      ['d.jsonl:1', '[{"name": "f", "arguments": {"a": 1.0}}, {"name": "f", "arguments": {}}]'],
      ['d.jsonl:1/2', '[{"name": "f", "arguments": {"a": 2}}]'],
    ],
  )
  assert.equal(examples[0]?.messages, [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'one two' },
  ])
  assert.equal(examples[0]?.tools, [wrapped])
  assert.equal(examples[0]?.extra, { parallel_tool_calls: true })
  assert.is(
    examples[1]?.messages[2]?.content,
    '<tool_call>\n{"name": "f", "arguments": {"a": 1.0}}\n</tool_call>\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
  )
  const toolN1 = read([record]).examples[1] as Example
  assert.is(
    JSON.parse(JSON.parse(toolN1.messages[3]?.content ?? '')).length,
    2,
    'earlier calls are text of text in the prompt of Tool-N1',
  )
})

test("TRL's prompt and completion, tools as text; reasoning becomes a reply", () => {
  const example = one(
    {
      prompt: [user('q')],
      completion: [
        {
          role: 'assistant',
          reasoning_content: 'Think.',
          tool_calls: [{ type: 'function', function: { name: 'f', arguments: { a: 1 } } }],
        },
      ],
      tools: JSON.stringify([tool]),
    },
    { prompt: 'native' },
  )
  assert.is(example.truth, '[{"name": "f", "arguments": {"a": 1}}]')
  assert.is(example.reply, '<think>Think.</think>\n<tool_call>[{"name": "f", "arguments": {"a": 1}}]</tool_call>')
  assert.equal(example.messages, [user('q')])
  assert.equal(one({ messages: JSON.stringify([user('q')]) }).messages, [user('q')])
  assert.is(one({ prompt: [user('q')], completion: [{ role: 'assistant', content: 'a' }] }).reply, 'a')
})

test('what is wrong with a conversation is said', () => {
  const cases: [object, RegExp][] = [
    [{ messages: [] }, /"messages" to be a list, got an empty one/],
    [{ messages: 'x' }, /"messages" to be a list, got a string/],
    [{ messages: '[{' }, /"messages" is not JSON/],
    [{ messages: [user('q')], tools: '[{' }, /"tools" is not JSON/],
    [{ messages: [{ role: 'user', content: null }] }, /message 1 to have text, got null/],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, /parts of text only/],
    [{ messages: [user('q'), { role: 'assistant', tool_calls: 'f()' }] }, /"tool_calls" of message 2 to be a list/],
    [
      { messages: [user('q'), { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{' } }] }] },
      /"arguments" of call 1 of message 2 is not JSON/,
    ],
    [{ messages: [user('q'), { role: 'assistant', tool_calls: [{ name: 'f' }] }] }, /call 1 of message 2/],
    [{ prompt: [user('q')], completion: 'text' }, /"completion" to be a list/],
  ]
  for (const [record, reason] of cases) {
    const { report } = read([record, { messages: [user('ok')] }])
    assert.match(report.problems[0]?.reason ?? '', reason)
    assert.is(report.examples, 1)
  }
})

test("Tool-N1's processed records, and its prompts for verl, are the samples that they were made of", () => {
  const earlier = '[{"name": "f", "arguments": {"a": 1}}]'
  const role = 'Expert.\n'
  const processed = {
    id: 'toolace_multiple_turn',
    raw_system: role,
    tools: JSON.stringify([tool]),
    conversations: [
      { from: 'human', value: 'q' },
      { from: 'function_call', value: earlier },
      { from: 'observation', value: '7' },
    ],
    answer: JSON.stringify([{ name: 'f', arguments: { a: 2 } }]),
  }
  const { examples, report } = read([processed, processed])
  assert.equal(
    examples.map(({ id }) => id),
    ['d.jsonl:1', 'd.jsonl:2'],
  )
  assert.equal(report.problems, [])
  const [example] = examples as [Example]
  assert.is(example.messages[2]?.content, JSON.stringify(earlier))
  assert.match(example.messages[0]?.content ?? '', /^Expert\.\n# Tool\n/)

  const verl = {
    data_source: 'toolcall',
    prompt: example.messages,
    reward_model: { style: 'rule', ground_truth: processed.answer },
  }
  const [again] = read([verl]).examples as [Example]
  assert.equal(again.messages, example.messages)
  assert.is(again.truth, example.truth)
  assert.equal(read([verl], { prompt: 'native' }).examples[0]?.tools, [wrapped])
  const system = toolN1System([], role).replace('<tools>\n', '<tools>\n{')
  const broken = { ...verl, prompt: [{ role: 'system', content: system }, user('q')] }
  assert.match(read([broken, verl]).report.problems[0]?.reason ?? '', /not JSON/)
})

test("ToolRL's records: tools out of the text, calls with arguments, thoughts as replies", () => {
  const { examples, report } = readDataset('rlla.json', readFileSync(fixture('rlla.json')), { prompt: 'native' })
  assert.equal(
    report.problems.map(({ line, kind }) => [line, kind]),
    [[4, 'no_call']],
  )
  const [first] = examples as [Example]
  assert.ok(first.tools.every((t) => typeof t.function.description === 'string' && t.function.parameters))
  assert.match(first.reply ?? '', /^<think> .* <\/think>\n<tool_call>\[\{"name": "/s)
  assert.ok(first.reply?.includes(first.truth?.slice(1, 20) ?? '?'))
  const multi = examples[2] as Example
  const roles = multi.messages.map(({ role }) => role)
  assert.equal(roles.slice(0, 3), ['user', 'assistant', 'tool'])
  assert.ok(multi.messages.every(({ content }) => !content.includes('<think>')))
  assert.ok((JSON.parse(examples[3]?.truth ?? '[]') as unknown[]).length > 1)
})

test("ToolRL's text: what is wrong is said, a tag that never closes costs no time", () => {
  const [record] = JSON.parse(readFileSync(fixture('rlla.json'), 'utf8')) as [Record<string, string>]
  const whole = { messages: [user('q')] }
  const cases: [Record<string, string>, RegExp][] = [
    [{ input: '<user> hi' }, /close its <user>/],
    [{ input: 'hi' }, /go on with one of/],
    [{ input: '' }, /a turn of the user/],
    [{ output: '<tool_call>\n{"name": 1}\n</tool_call>' }, /call 1 to have a "name"/],
    [{ output: '<think> x </think>' }, /calls or a response/],
    [{ output: '<tool_call>\n[\n</tool_call>' }, /call 1 is not JSON/],
    [{ instruction: '**Available Tools** none' }, /list tools under/],
    [{ instruction: '**Available Tools** you can use the following tools:\n1. Name: f\n' }, /"Description:"/],
  ]
  for (const [change, reason] of cases) {
    const { report } = read([{ ...record, ...change }, whole])
    assert.match(report.problems[0]?.reason ?? '', reason)
  }
})

test('the shared rlla data is read whole', async () => {
  const folder = sharedPath('data/rlla')
  if (!folder) return
  const sft = await loadDataset(join(folder, 'sft.json'))
  assert.is(sft.report.records, 400)
  assert.is(sft.examples.length, 346)
  assert.ok(sft.report.problems.every(({ kind }) => kind === 'no_call'))
  const rl = await loadDataset(join(folder, 'test.parquet'))
  assert.is(rl.report.records, 80)
  assert.is(rl.examples.length, 71)
  assert.ok(rl.examples.every(({ reply }) => reply === undefined))
})

test('ToolACE: names with spaces, dots, slashes and brackets, values that are no literals', () => {
  const names = ['Get Weather', 'ns.v2/find', 'Search (beta)', "User's Feed"]
  const system = `You.\nHere is a list of functions in JSON format that you can invoke:\n${JSON.stringify(names.map((name) => ({ name })))}. \nShould you`
  const value = `[Get Weather(city=Paris, day=2024-01-05), ns.v2/find(q="a, (b) [c] 'd'"), Search (beta)(f={'k': (1, 2.0)}), User's Feed()]`
  const example = one({
    system,
    conversations: [
      { from: 'user', value: 'q' },
      { from: 'assistant', value },
    ],
  })
  assert.equal(JSON.parse(example.truth ?? ''), [
    { name: 'Get Weather', arguments: { city: 'Paris', day: '2024-01-05' } },
    { name: 'ns.v2/find', arguments: { q: "a, (b) [c] 'd'" } },
    { name: 'Search (beta)', arguments: { f: { k: [1, 2] } } },
    { name: "User's Feed", arguments: {} },
  ])
})

test('ToolACE: turns that are left out are reported, and stay in later prompts', () => {
  const system = `You.\nHere is a list of functions in JSON format that you can invoke:\n[{"name": "f"}]`
  const gpt = (value: string) => ({ from: 'gpt', value })
  const human = { from: 'human', value: 'q' }
  const { examples, report } = read([
    { system, conversations: [human, gpt('[g()]'), human, gpt('[f(1)]'), human, gpt('[f()]')] },
    { system, conversations: [human, gpt('No.')] },
    { system: 'no marker', conversations: [] },
    // Nothing is left of these, and each is listed once.
    { system, conversations: [human, gpt('[g()]')] },
    { system, conversations: [human, gpt('[f(1)]')] },
  ])
  assert.is(examples.length, 1)
  assert.is(examples[0]?.messages.length, 6)
  assert.equal(
    report.problems.map(({ kind, line }) => `${line} ${kind}`),
    ['1 unknown_tool', '1 calls', '2 no_call', '3 tools', '4 unknown_tool', '5 calls'],
  )
  assert.equal([report.records, report.leftOut, report.samplesLeftOut], [5, 4, 2])
})

test('ToolACE: calls that cannot be read are no words, and never teach to call nothing', () => {
  const system = `You.\nHere is a list of functions in JSON format that you can invoke:\n[{"name": "f"}, {"name": "Find (v2)"}]`
  const record = (value: string) => ({
    system,
    conversations: [
      { from: 'human', value: 'q' },
      { from: 'gpt', value },
    ],
  })
  const context = { noCall: true, keepUnknownTools: false }
  const kindsOf = (value: string) => {
    const dropped: string[] = []
    const record = new Map<string, JsonValue>([
      ['system', system],
      ['conversations', parseJson(JSON.stringify(recordOf(value)))],
    ])
    const samples = readToolAce(record, 'x', { ...context, drop: (kind) => dropped.push(kind) })
    return { dropped, truths: samples.map(({ calls }) => calls?.length) }
  }
  const recordOf = (value: string) => record(value).conversations
  const broken = ['[f(a=1)', ' [f(a=1)] and so on', '```\n[f(a=1)]\n```', 'I call [ f (a=1)]', '```[Find (v2)(a=1)]```']
  for (const value of broken) {
    assert.equal(kindsOf(value), { dropped: ['calls'], truths: [] }, value)
    assert.equal(
      read([record(value), record('[f()]')]).report.problems.map(({ kind }) => kind),
      ['calls'],
    )
  }
  for (const value of ['No tool fits.', '[]', 'f(a=1) is what I would call', 'see [g(a=1)]', 'a list [f] (short)'])
    assert.equal(kindsOf(value), { dropped: [], truths: [0] }, value)
  assert.equal(kindsOf('[f(a=1), f()]'), { dropped: [], truths: [2] })
})

test('messages: a turn that was reported is not reported again as a record without calls', () => {
  const first = { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: {} } }] }
  const { report } = read([{ messages: [first], tools: [tool] }, { messages: [user('q')] }])
  assert.equal(
    report.problems.map(({ kind, line }) => `${line} ${kind}`),
    ['1 field'],
  )
})

test('formats may be mixed in a file; a named one is taken at its word', () => {
  const xlam = { query: 'q', tools: [tool], answers: [{ name: 'f', arguments: {} }] }
  const { examples } = read([xlam, { messages: [user('hi')] }, xlam])
  assert.is(examples.length, 3)
  assert.match(
    read([xlam, { messages: [user('hi')] }], { format: 'xlam' }).report.problems[0]?.reason ?? '',
    /"query" to be a string/,
  )
})

test.run()
