import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Example } from '../../lib/data/example.js'
import { type DatasetOptions, loadDataset, readDataset } from '../../lib/data/load.js'
import { withThoughts } from '../../lib/data/thoughts.js'
import { scoreToolCalls } from '../../lib/reward/tool-call.js'
import { sharedPath } from '../support/shared.js'

const encode = (text: string) => new TextEncoder().encode(text)
const read = (text: string, options?: DatasetOptions) => readDataset('data.jsonl', encode(text), options)
const tool = { name: 'f', description: 'd', parameters: { a: { type: 'int', default: 1 } } }
const xlam = (id: unknown, extra: object = {}) => ({
  id,
  query: `question ${id}`,
  tools: JSON.stringify([tool]),
  answers: '[{"name": "f", "arguments": {"a": 1.0}}]',
  ...extra,
})
const lines = (...records: unknown[]) => records.map((r) => (typeof r === 'string' ? r : JSON.stringify(r))).join('\n')

test('an xLAM record in the words of Tool-N1; numbers of the truth keep their kind', () => {
  const [example] = read(lines(xlam(7))).examples as [Example]
  assert.is(example.id, '7')
  assert.equal(
    example.messages.map(({ role }) => role),
    ['system', 'user'],
  )
  assert.match(
    example.messages[0]?.content ?? '',
    '<tools>\n{"type": "function", "function": {"name": "f", "description": "d"',
  )
  assert.is(example.messages[1]?.content, 'question 7')
  assert.equal(example.tools, [])
  assert.is(example.truth, '[{"name": "f", "arguments": {"a": 1.0}}]')
})

test("the native style leaves the tools to the model's template", () => {
  const [example] = read(lines(xlam(7)), { prompt: 'native' }).examples as [Example]
  assert.equal(example.messages, [{ role: 'user', content: 'question 7' }])
  assert.equal(example.tools, [{ type: 'function', function: tool }])
})

test('tools and answers may be lists instead of text, and wrapped', () => {
  const record = xlam(1, { tools: [{ type: 'function', function: tool }], answers: [{ name: 'f', arguments: {} }] })
  assert.equal(read(lines(record), { prompt: 'native' }).examples[0]?.tools, [{ type: 'function', function: tool }])
})

test('a JSON list of records is the same as its lines', () => {
  const records = [xlam(1), xlam(2)]
  const list = readDataset('data.json', encode(`\ufeff ${JSON.stringify(records, null, 2)}`))
  assert.equal(list.examples, read(lines(...records)).examples)
})

test('bad records are listed with file, line and reason, the others stay', () => {
  const text = [
    `\ufeff${JSON.stringify(xlam('a'))}\r`,
    '',
    '{"id": 1, "query": ',
    JSON.stringify(xlam('b', { tools: '[{' })),
    JSON.stringify(xlam('c', { answers: undefined })),
    JSON.stringify(xlam('d', { answers: '[{"name": "f"}]' })),
    JSON.stringify(xlam('e', { query: 5 })),
    '[1]',
    '{"id": NaN}',
    JSON.stringify(xlam('f', { tools: '[{"description": "no name"}]' })),
    `${JSON.stringify(xlam('g'))}\r`,
  ].join('\n')
  const { examples, report } = read(text)
  assert.equal(
    examples.map(({ id }) => id),
    ['a', 'g'],
  )
  assert.is(report.records, 10)
  assert.is(report.examples, 2)
  assert.equal(
    report.problems.map(({ line }) => line),
    [3, 4, 5, 6, 7, 8, 9, 10],
  )
  assert.ok(report.problems.every(({ file }) => file === 'data.jsonl'))
  const reasons = report.problems.map(({ reason }) => reason)
  const patterns = [
    /expected a value/,
    /"tools" is not JSON/,
    /"answers".*nothing/,
    /call 1 of "answers"/,
    /"query".*number/,
  ]
  patterns.push(/expected an object, got a list/, /expected a value/, /tool 1/)
  for (const [i, pattern] of patterns.entries()) assert.match(reasons[i] ?? '', pattern)
})

test('bytes that are no UTF-8 spoil one record only', () => {
  const bytes = Buffer.concat([
    encode(`${lines(xlam(1))}\n{"id": "`),
    Buffer.from([0xff, 0xfe]),
    encode(`"}\n${lines(xlam(2))}`),
  ])
  const { examples, report } = readDataset('data.jsonl', bytes)
  assert.is(examples.length, 2)
  assert.match(report.problems[0]?.reason ?? '', /UTF-8/)
})

const code = (expected: string, pattern: RegExp) => (error: Error & { code?: string }) =>
  error.code === expected && pattern.test(error.message)

test('strict makes the first bad record an error; nothing left is one anyway', () => {
  const text = lines(xlam(1), '{', xlam(2))
  assert.throws(() => read(text, { strict: true }), code('ERR_DATA', /data\.jsonl:2: /))
  assert.throws(() => read(''), code('ERR_DATA', /got an empty file/))
  assert.throws(() => read('{\n['), code('ERR_DATA', /got none of 2; line 1: /))
  assert.throws(() => read('[1, 2'), code('ERR_DATA', /got none of 3; line 1: expected an object, got a number/))
  assert.throws(() => read('{"a": 1}'), code('ERR_DATA', /keys of xLAM/))
})

test('plain conversations: the last reply of the assistant is what SFT teaches', () => {
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'hello' },
  ]
  const truth = '[{"name": "f", "arguments": {"a": 2.50}}]'
  const { examples, report } = read(
    lines(
      { id: 'x', messages, tools: [tool], level: 3 },
      { messages: messages.slice(0, 1), truth },
      { messages: messages.slice(1) },
      { messages: [{ role: 'robot', content: '' }] },
    ),
    { prompt: 'native' },
  )
  assert.equal(examples[0], {
    id: 'x',
    messages: messages.slice(0, 1) as Example['messages'],
    tools: [{ type: 'function', function: tool }],
    reply: 'hello',
    extra: { level: 3 },
  })
  assert.is(examples[1]?.id, 'data.jsonl:2')
  assert.is(examples[1]?.truth, '[{"name": "f", "arguments": {"a": 2.5}}]')
  assert.equal(
    report.problems.map(({ line }) => line),
    [3, 4],
  )
})

test('ids become unique', () => {
  const { examples } = read(lines(xlam('a'), xlam('a'), xlam(''), xlam('a')))
  assert.equal(
    examples.map(({ id }) => id),
    ['a', 'a~2', 'data.jsonl:3', 'a~3'],
  )
})

test('ToolACE: one example for every turn of calls, earlier calls stay in the prompt', () => {
  const record = {
    system: `Expert.\nHere is a list of functions in JSON format that you can invoke:\n${JSON.stringify([tool])}. \nShould you`,
    conversations: [
      { from: 'human', value: 'q1' },
      { from: 'gpt', value: "[f(a=1.0, b='x (y]', c=[True, None], d={'k': -2})]" },
      { from: 'observation', value: '[]' },
      { from: 'gpt', value: 'Done.' },
      { from: 'human', value: 'q2' },
      { from: 'gpt', value: '[f(), g()]' },
      { from: 'human', value: 'q3' },
      { from: 'gpt', value: '[f(a=2)]' },
    ],
  }
  const { examples } = read(lines(record))
  const calls = '[{"name": "f", "arguments": {"a": 1.0, "b": "x (y]", "c": [true, null], "d": {"k": -2}}}]'
  assert.equal(
    examples.map(({ truth }) => truth),
    [calls, '[{"name": "f", "arguments": {"a": 2}}]'],
  )
  assert.equal(
    examples[0]?.messages.map(({ role }) => role),
    ['system', 'user'],
  )
  const roles = ['system', 'user', 'assistant', 'tool', 'assistant', 'user', 'assistant', 'user']
  assert.equal(
    examples[1]?.messages.map(({ role }) => role),
    roles,
  )
  assert.is(examples[1]?.messages[2]?.content, JSON.stringify(calls))
  assert.match(examples[0]?.messages[0]?.content ?? '', /^Expert\.\nHere is .*:\n# Tool\n/)
})

test('order, parts and limits are a function of the seed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'callgrad-data-'))
  try {
    const path = join(folder, 'x.jsonl')
    writeFileSync(path, lines(...Array.from({ length: 11 }, (_, i) => xlam(i))))
    const ids = async (options: DatasetOptions) => (await loadDataset(path, options)).examples.map(({ id }) => id)
    const whole = await ids({ seed: 3 })
    assert.equal(
      await ids({}),
      Array.from({ length: 11 }, (_, i) => String(i)),
    )
    assert.equal(whole, await ids({ seed: 3 }))
    assert.not.equal(whole, await ids({ seed: 4 }))
    assert.equal([...whole].sort(), (await ids({})).sort())
    assert.equal([...(await ids({ seed: 3, part: [0, 0.5] })), ...(await ids({ seed: 3, part: [0.5, 1] }))], whole)
    assert.equal(await ids({ limit: 2 }), ['0', '1'])
    const whole2 = await loadDataset({ path, seed: 3 })
    assert.equal(
      whole2.examples.map(({ id }) => id),
      whole,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('wrong options and files are one clear error', async () => {
  const error = async (path: string, options: object) => loadDataset(path, options).catch((e: Error) => e)
  assert.match(
    ((await error('/nowhere.jsonl', {})) as Error).message,
    /\[data\] expected a readable file at \/nowhere\.jsonl/,
  )
  for (const options of [
    { part: [0.5, 0.5] },
    { part: [0, 2] },
    { limit: 0 },
    { seed: 0.5 },
    { format: 'csv' },
    { prompt: 'x' },
  ]) {
    assert.is(((await error('/nowhere.jsonl', options)) as Error & { code: string }).code, 'ERR_CONFIG')
  }
})

test('thoughts by template: fixed words, a full reward', () => {
  const truth =
    '[{"name": "f", "arguments": {"a": 1.0}}, {"name": "f", "arguments": {"b": "é"}}, {"name": "g", "arguments": {}}]'
  const examples: Example[] = [
    { id: '1', messages: [], tools: [], truth },
    { id: '2', messages: [], tools: [], truth: '[]' },
    { id: '3', messages: [], tools: [], reply: 'mine' },
    { id: '4', messages: [], tools: [] },
  ]
  const [one, two, three, ...rest] = withThoughts(examples)
  assert.is(one?.reply?.split('\n')[0], '<think>To answer the question I call f 2 times with a and b; and g.</think>')
  assert.match(one?.reply ?? '', '{"b": "é"}')
  assert.is(scoreToolCalls(one?.reply ?? '', truth).reward, 1)
  assert.is(scoreToolCalls(two?.reply ?? '', '[]').reward, 1)
  assert.is(three?.reply, 'mine')
  assert.is(rest.length, 0)
  const bad = { id: 'x', messages: [], tools: [], truth: '[1]' }
  assert.throws(() => withThoughts([bad]), code('ERR_TRUTH', /example "x"/))
})

test('real records: every one is read, its template reply gets the full reward', async () => {
  for (const name of ['train', 'dev']) {
    const path = sharedPath(`data/toolcalls/${name}.jsonl`)
    if (path === null) return
    const { examples, report } = await loadDataset(path)
    assert.equal(report.problems, [])
    assert.is(examples.length, name === 'train' ? 1502 : 300)
    for (const { reply, truth } of withThoughts(examples)) assert.is(scoreToolCalls(reply ?? '', truth ?? '').reward, 1)
  }
})

test.run()
