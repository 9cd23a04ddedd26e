import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type DatasetOptions, loadDataset, readDataset } from '../../lib/data/load.js'
import { inTemporaryFolder, rejection } from '../formats/support.js'
import { cpuMilliseconds } from '../support/time.js'

const encode = (text: string) => new TextEncoder().encode(text)
const good = (id: string | number) =>
  `{"id": ${JSON.stringify(id)}, "query": "q", "tools": [{"name": "f"}], "answers": [{"name": "f", "arguments": {"a": 1}}]}`
const answer = (id: string, args: string) =>
  `{"id": "${id}", "query": "q", "tools": [{"name": "f"}], "answers": [{"name": "f", "arguments": ${args}}]}`
const read = (lines: readonly string[], options?: DatasetOptions) =>
  readDataset('d.jsonl', encode(lines.join('\n')), options)

/** Each a bad line, the kind that counts it and words of its reason. */
const bad: [string, string, RegExp][] = [
  ['{"id": 1', 'json', /expected/],
  ['[]', 'field', /expected an object, got a list/],
  ['"text"', 'field', /expected an object, got a string/],
  ['{}', 'field', /"query" to be a string, got nothing/],
  ['{"query": "q", "answers": []}', 'field', /"tools" to be a list .* got nothing/],
  ['{"query": "q", "answers": [], "tools": "[{\\"name\\""}', 'tools', /"tools" is not JSON/],
  ['{"query": "q", "answers": [], "tools": [{}]}', 'tools', /tool 1 to be an object with a "name"/],
  ['{"query": "q", "answers": [1], "tools": []}', 'calls', /call 1 of "answers"/],
  ['{"query": "\\ud800", "answers": [], "tools": []}', 'encoding', /half of a surrogate pair/],
  ['{"query": "q", "answers": [], "tools": [{"name": "f", "d": ["\\udc00"]}]}', 'encoding', /tool 1/],
  [answer('s', '{"\\ud800": 1}'), 'encoding', /call 1/],
  [answer('s', '{"a": "x\\ude00"}'), 'encoding', /call 1/],
  ['{"messages": [{"role": "user", "content": "q"}], "note": "\\ud800"}', 'encoding', /"note" to be Unicode/],
  ['{"messages": [{"role": "user", "content": "q"}], "note": {"a": ["\\udfff"]}}', 'encoding', /"note"/],
  ['{"messages": [{"role": "user", "content": "q"}], "\\ud800": 1}', 'encoding', /the name of a column/],
  ['{"messages": [{"role": "user", "content": "q"}], "note": 1e999}', 'number', /"note".*a double can hold/],
  ['{"query": "q", "tools": [], "answers": [{"name": "\\ud800", "arguments": {}}]}', 'encoding', /call 1/],
  [answer('n', `{"a": ${'9'.repeat(4301)}}`), 'number', /at most 4,300 digits, got 999999999999…/],
  [answer('n', '{"a": 1e999}'), 'number', /a double can hold, got 1e999/],
  [`{"query": ${'['.repeat(2000)}`, 'json', /levels of nesting/],
  [answer('d', `${'{"a":'.repeat(1200)}1${'}'.repeat(1200)}`), 'json', /levels of nesting/],
  ['{"id": "\\udfff", "query": "q", "answers": [], "tools": []}', 'encoding', /"id"/],
]

test('every kind of bad record is reported with file, line, kind and reason, and costs only itself', () => {
  for (const [line, kind, reason] of bad) {
    const { examples, report } = read([good(1), line, good(2)])
    assert.is(examples.length, 2, line.slice(0, 60))
    assert.is(report.records, 3)
    const [problem, ...others] = report.problems
    assert.equal(others, [])
    assert.equal([problem?.file, problem?.line, problem?.kind], ['d.jsonl', 2, kind], line.slice(0, 80))
    assert.match(problem?.reason ?? '', reason)
  }
})

test('strict makes the first of them an error that names file and line', () => {
  for (const [line, , reason] of bad) {
    let error: (Error & { code?: string }) | undefined
    try {
      read([good(1), '', line, 'worse'], { strict: true })
    } catch (caught) {
      error = caught as Error
    }
    assert.is(error?.code, 'ERR_DATA')
    assert.match(error?.message ?? '', /^\[data\] d\.jsonl:3: /)
    assert.match(error?.message ?? '', reason)
  }
})

test('nothing left is an error that says why', () => {
  assert.throws(() => read(['{', '[']), /d\.jsonl: expected usable records, got none of 2; line 1: /)
})

test('a duplicate id is kept under another one and reported; strict refuses it', () => {
  const { examples, report } = read([good('a'), good('a'), good('a~2'), good(7), good('7')])
  assert.equal(
    examples.map(({ id }) => id),
    ['a', 'a~2', 'a~2~2', '7', '7~2'],
  )
  assert.equal(
    report.problems.map(({ kind, line }) => `${line} ${kind}`),
    ['2 duplicate_id', '3 duplicate_id', '5 duplicate_id'],
  )
  assert.throws(() => read([good('a'), good('a')], { strict: true }), /d\.jsonl:2: expected an id of its own, got "a"/)
})

test('keys called __proto__ are keys', () => {
  const tools = '[{"name": "f", "parameters": {"__proto__": {"type": "string"}}}]'
  const line = `{"__proto__": {"x": 1}, "id": "p", "query": "q", "tools": ${tools}, "answers": [{"name": "f", "arguments": {"__proto__": {"polluted": 1}}}]}`
  const { examples } = read([line], { prompt: 'native' })
  assert.is(examples[0]?.truth, '[{"name": "f", "arguments": {"__proto__": {"polluted": 1}}}]')
  const parameters = examples[0]?.tools[0]?.function.parameters as object
  assert.equal(Object.keys(parameters), ['__proto__'])
  assert.is(Object.getPrototypeOf(parameters), Object.prototype)
  assert.is(({} as { polluted?: number }).polluted, undefined)
  const messages = `{"messages": [{"role": "user", "content": "q"}], "__proto__": {"polluted": 1}}`
  assert.is(read([messages]).examples.length, 1)
  assert.is(({} as { polluted?: number }).polluted, undefined)
})

test('integers beyond a double keep their digits', () => {
  const { examples } = read([answer('i', '{"a": 123456789012345678901234567890, "b": 1.0, "c": -0}')])
  assert.is(examples[0]?.truth, '[{"name": "f", "arguments": {"a": 123456789012345678901234567890, "b": 1.0, "c": 0}}]')
})

test('CRLF, a byte-order mark, blank lines and a missing last line break are no problem', () => {
  const { examples, report } = read([`\ufeff${good(1)}\r`, '\r', ' \t\r', `${good(2)}\r`, good(3)])
  assert.is(examples.length, 3)
  assert.equal(report.problems, [])
  assert.is(report.records, 3)
})

test('a file that is something else is named for what it is', async () => {
  const text = `${good(1)}\n`
  const files: [string, Uint8Array, RegExp][] = [
    ['a.jsonl', gzipSync(text), /got gzip data; unpack it first \(gunzip\)/],
    ['b.parquet', encode('PAR1 and then nothing of the kind'), /the footer of the parquet file cannot be read/],
    ['c.jsonl', Buffer.from(`\ufeff${text}`, 'utf16le'), /UTF-16/],
    ['d.jsonl', Buffer.from(text, 'utf16le'), /UTF-16/],
    ['e.json', encode('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), /a Git LFS pointer/],
    ['f.json', encode('\n<!DOCTYPE html><html>'), /a web page/],
    ['g.zip', encode('PK\x03\x04'), /a zip archive/],
    ['h.zst', new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0]), /zstd/],
    ['i.jsonl', new Uint8Array(0), /got an empty file/],
    ['j.jsonl', encode('\n \n'), /expected records, got none/],
    [
      'k.json',
      encode(JSON.stringify({ data: [JSON.parse(good(1))] }, null, 2)),
      /got one JSON object over several lines; give a JSON list/,
    ],
    ['l.json', encode(`{"data": [\n${good(1)},\n${good(2)}\n]}`), /got one JSON object over several lines/],
    ['m.json', encode(`{"data": [${good(1)}]}`), /got data; if "data" lists the records, give that list/],
  ]
  await inTemporaryFolder(async (folder) => {
    for (const [name, bytes, reason] of files) {
      const path = join(folder, name)
      writeFileSync(path, bytes)
      const error = await rejection(loadDataset(path))
      assert.is(error.code, 'ERR_DATA', name)
      assert.match(error.message, reason)
      assert.match(error.message, name)
      assert.is((await rejection(loadDataset({ path, strict: true }))).code, 'ERR_DATA')
    }
    assert.match((await rejection(loadDataset(folder))).message, /expected a file, got a folder/)
    assert.is((await rejection(loadDataset(join(folder, 'none.jsonl')))).code, 'ERR_IO')
    // Lines that break off are no object over several lines.
    writeFileSync(join(folder, 'cut.jsonl'), `{"id": [\n${good(1)}\n`)
    assert.is((await loadDataset(join(folder, 'cut.jsonl'))).examples.length, 1)
    // A name says nothing: a list in a .jsonl, lines in a .json.
    writeFileSync(join(folder, 'list.jsonl'), `[${good(1)},${good(2)}]`)
    writeFileSync(join(folder, 'lines.parquet'), `${good(1)}\n${good(2)}\n`)
    assert.is((await loadDataset(join(folder, 'list.jsonl'))).examples.length, 2)
    assert.is((await loadDataset(join(folder, 'lines.parquet'))).examples.length, 2)
  })
})

test('no megabyte of anything takes a second', () => {
  const mega = 1 << 20
  const marker = 'Here is a list of functions in JSON format that you can invoke:\n'
  const toolace = (value: string, system = `${marker}[{"name": "f"}]`) =>
    JSON.stringify({
      system,
      conversations: [
        { from: 'human', value: 'q' },
        { from: 'gpt', value },
      ],
    })
  const rlla = (change: object) =>
    JSON.stringify({
      instruction: '**Available Tools**\nyou can use the following tools:\n1. Name: f\nDescription: d\nParameters: {}',
      input: '<user> q </user>',
      output: '<response> r </response>',
      ...change,
    })
  const many = (text: string) => text.repeat(Math.ceil(mega / text.length))
  const times = <T>(count: number, turns: T[]) => Array.from({ length: count }, () => turns).flat()
  const f = { name: 'f' }
  /** Calling turns: a megabyte of them, as many as are just let through, a few that repeat much. */
  const messages = (count: number, extra: object = {}) =>
    JSON.stringify({
      messages: times(count, [
        { role: 'user', content: 'q' },
        { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] },
      ]),
      tools: [f],
      ...extra,
    })
  const calling = (count: number, tools: object[] = [f], value = '[f(a=1)]') =>
    JSON.stringify({
      system: `${marker}${JSON.stringify(tools)}`,
      conversations: times(count, [
        { from: 'human', value: 'q' },
        { from: 'gpt', value },
      ]),
    })
  const long = (length: number) => 'x'.repeat(length)
  const texts = [
    many('['),
    many('{"a":'),
    many('"'),
    many('\\"'),
    `{"query": "${many('\\"')}`,
    `{"query": "${many('\\"')}\\x"}`,
    many('[1,'),
    many('}'),
    many('{"id": 1}\n'),
    many('\ufeff'),
    answer('x', `"${many('\\u0000')}"`),
    answer('x', many('9')),
    answer('x', `{"a": ${many('9')}e}`),
    toolace(`[${many('f(')}`),
    toolace(`[f(a=${many("'")})]`),
    toolace(`[f(a="${many('\\')}`),
    toolace(`[${many('f(a=1),')}f()]`),
    toolace(`[f(a=${many('[')})]`),
    toolace(many('[')),
    toolace('x', many(marker)),
    toolace('x', `${marker}[${many('{')}`),
    toolace('[f()]', `${marker}[${many('{"name": "f("},')}{"name": "f"}]`),
    rlla({ input: many('<user> ') }),
    rlla({ input: many('<user></user>') }),
    rlla({ output: `<tool_call>${many('\n{')}</tool_call>` }),
    rlla({ output: `<tool_call>${many('\n')}</tool_call>` }),
    rlla({ instruction: `**Available Tools** you can use the following tools:\n${many('1. Name: ')}` }),
    rlla({ instruction: `**Available Tools** you can use the following tools:\n1. Name: ${many('\nDescription: ')}` }),
    JSON.stringify({ messages: [{ role: 'user', content: many('<tool_call>') }] }),
    messages(9_500),
    messages(850),
    messages(120, { note: long(mega / 2) }),
    messages(5_000, { note: long(mega / 2) }),
    messages(120, { tools: [{ ...f, description: long(mega / 2) }] }),
    calling(14_000),
    calling(14_000, [f], '[f('),
    calling(1_000),
    calling(120, [{ ...f, description: long(mega / 2) }]),
    calling(
      5_000,
      Array.from({ length: 8_000 }, (_, i) => ({ name: `f(${long(30)}${i}` })),
    ),
    calling(1, [{ name: `${'f(),'.repeat(mega / 8)}!` }, f], `[${'f(),'.repeat(mega / 8)}f()]`),
    calling(1, [{ name: `${'f(a=1),'.repeat(18)}!` }, f], `[${many('f(a=1),')}f()]`),
    calling(1, [{ name: `${'['.repeat(100)}!` }, f], `x ${many('[')}`),
  ]
  for (const text of texts) {
    const took = cpuMilliseconds(() => {
      try {
        read([text])
      } catch (error) {
        assert.is((error as { code?: string }).code, 'ERR_DATA')
      }
    })
    assert.ok(took < 1000, `${text.slice(0, 40)} … took ${took} ms`)
  }
})

test('a conversation whose samples repeat too much is left out, once, with the limit', () => {
  const record = (count: number, content = 'q') => ({
    id: `c${count}`,
    messages: Array.from({ length: count }, () => [
      { role: 'user', content },
      { role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: {} } }] },
    ]).flat(),
    tools: [{ name: 'f' }],
  })
  // An agent's conversation of 300,000 characters is far from the limit.
  const lines = [record(3000), record(100, 'x'.repeat(3000))].map((one) => JSON.stringify(one))
  const { examples, report } = read(lines)
  assert.is(examples.length, 100)
  assert.is(examples[99]?.messages.length, 200)
  assert.equal(
    report.problems.map(({ kind, id }) => [kind, id]),
    [['size', 'c3000']],
  )
  assert.match(report.problems[0]?.reason ?? '', /at most 64 MiB of text together.* got 3000 samples with \d+ MiB/)
  assert.throws(() => read(lines, { strict: true }), /d\.jsonl:1: expected a conversation/)
})

test.run()
