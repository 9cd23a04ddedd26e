import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type BuildOptions, buildDataset } from '../../lib/data/build.js'
import { Numbers, table1 } from '../../lib/data/counts.js'
import { loadDataset } from '../../lib/data/load.js'
import { inTemporaryFolder, rejection } from '../formats/support.js'

const tool = (name: string) => ({ name, description: `d ${name}`, parameters: { a: { type: 'int', default: 1 } } })
const xlam = (id: number, name = 'f', args: object = { a: 1 }) => ({
  id,
  query: `question ${id}`,
  tools: JSON.stringify([tool('f'), tool('g')]),
  answers: JSON.stringify([{ name, arguments: args }]),
})
const marker = 'Here is a list of functions in JSON format that you can invoke:\n'
const toolace = (index: number) => ({
  system: `Expert ${index}.\n${marker}${JSON.stringify([tool('f')])}. \nShould you decide to return the function call(s).`,
  conversations: [
    { from: 'human', value: `q ${index}` },
    { from: 'gpt', value: '[f(a=1.0)]' },
    { from: 'observation', value: '{}' },
    { from: 'gpt', value: 'Done.' },
    { from: 'human', value: 'more' },
    { from: 'gpt', value: '[f(a=2)]' },
  ],
})
const lines = (records: readonly unknown[]) => records.map((r) => `${JSON.stringify(r)}\n`).join('')
const many = Array.from({ length: 40 }, (_, i) => (i % 4 === 3 ? toolace(i) : xlam(i)))

interface Folder {
  input: string
  path: (name: string) => string
  build: (options?: Partial<BuildOptions>, inputs?: string[]) => ReturnType<typeof buildDataset>
  text: (name?: string) => string
  ids: (name?: string) => string[]
}

async function withFolder(records: readonly unknown[], use: (folder: Folder) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const path = (name: string) => join(folder, name)
    const text = (name = 'out.jsonl') => readFileSync(path(name), 'utf8')
    writeFileSync(path('in.jsonl'), lines(records))
    await use({
      input: path('in.jsonl'),
      path,
      text,
      build: (options = {}, inputs = [path('in.jsonl')]) =>
        buildDataset(inputs, { output: path('out.jsonl'), ...options }),
      ids: (name) =>
        text(name)
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as { id: string }).id),
    })
  })
}

test('a built file is read as the samples that it was built of, in any prompt format', async () => {
  await withFolder(many, async ({ input, path, build }) => {
    await build()
    for (const prompt of ['tool-n1', 'native'] as const) {
      const before = await loadDataset({ path: input, prompt })
      const after = await loadDataset({ path: path('out.jsonl'), prompt, strict: true })
      const strip = (id: string) => id.split('/').pop()
      assert.equal(
        after.examples.map((example) => ({ ...example, id: strip(example.id) })),
        before.examples.map((example) => ({ ...example, id: strip(example.id) })),
      )
    }
    // Built again from what was built: the same bytes.
    const first = readFileSync(path('out.jsonl'), 'utf8')
    await build({ output: path('again.jsonl') }, [path('out.jsonl')])
    assert.is(readFileSync(path('again.jsonl'), 'utf8'), first)
  })
})

test('the same seed gives the same bytes, another seed others', async () => {
  await withFolder(many, async ({ build, text, path }) => {
    const options = { irrelevance: 0.5, mask: 0.5, shuffle: true, seed: 7 }
    const split = { share: 0.7, output: path('test.jsonl') }
    await build({ ...options, split })
    const first = [text(), text('test.jsonl')]
    await build({ ...options, split })
    assert.equal([text(), text('test.jsonl')], first)
    await build({ ...options, split, seed: 8 })
    assert.not.equal([text(), text('test.jsonl')], first)
  })
})

test('a split is exact, complete, keeps conversations on one side and the order unless shuffled', async () => {
  await withFolder(many, async ({ build, ids, path }) => {
    await build()
    const whole = ids()
    const { files } = await build({ irrelevance: 1, split: { share: 0.7, output: path('test.jsonl') }, seed: 3 })
    assert.equal(
      files.map(({ records }) => records),
      [28, 12],
    )
    const record = (id: string) => id.replace(/\/2$|~irrelevant$/, '')
    const [train, held] = [ids(), ids('test.jsonl')]
    const plain = (list: string[]) => list.filter((id) => !id.endsWith('~irrelevant'))
    assert.is(plain(train).length + plain(held).length, whole.length)
    const places = new Map(whole.map((id, i) => [id, i]))
    const order = plain(train).map((id) => places.get(id) ?? -1)
    assert.equal(
      order,
      [...order].sort((a, b) => a - b),
    )
    const trainRecords = new Set(train.map(record))
    assert.is(held.filter((id) => trainRecords.has(record(id))).length, 0)
  })
})

test('parts of one seed share nothing and make the whole', async () => {
  await withFolder(many, async ({ build, ids }) => {
    await build()
    const whole = ids().sort()
    await build({ part: [0, 0.5], seed: 2 })
    const first = ids()
    await build({ part: [0.5, 1], seed: 2 })
    assert.equal([...first, ...ids()].sort(), whole)
  })
})

test('what is left out is counted, listed, and never in the output', async () => {
  const records = [xlam(1), xlam(2, 'h'), xlam(3, 'f', { a: 'x' }), xlam(1), { id: 5 }, toolace(6)]
  await withFolder(records, async ({ build, ids, text, path, input }) => {
    const { pipeline, counts } = await build({ checkArguments: true, dropped: path('dropped.jsonl') })
    assert.equal(Object.fromEntries(pipeline.tally.counts), {
      unknown_tool: 1,
      arguments: 1,
      duplicate_id: 1,
      field: 1,
    })
    assert.is(pipeline.tally.dropped, 3)
    assert.equal(ids(), ['1', '1~2', `${input}:6`, `${input}:6/2`])
    assert.is(counts.samples, 4)
    const listed = text('dropped.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string; line: number; kind: string; reason: string; id?: string })
    assert.equal(
      listed.map(({ line, kind, id }) => [line, kind, id]),
      [
        [2, 'unknown_tool', '2'],
        [3, 'arguments', '3'],
        [4, 'duplicate_id', '1~2'],
        [5, 'field', '5'],
      ],
    )
    assert.ok(listed.every(({ file, reason }) => file === input && reason.length > 0))
  })
})

test('prompts over the limit are left out, calls of unknown tools kept on request', async () => {
  await withFolder([xlam(1), xlam(2, 'h'), xlam(1000)], async ({ build, ids }) => {
    const lengthOf = (example: { messages: { content: string }[] }) => example.messages.at(-1)?.content.length ?? 0
    const { pipeline } = await build({
      keepUnknownTools: true,
      maxPromptTokens: { limit: 10, prompt: 'tool-n1', lengthOf },
    })
    assert.equal(ids(), ['1', '2'])
    assert.is(pipeline.tally.counts.get('prompt_length'), 1)
    assert.match(pipeline.tally.first.get('prompt_length')?.reason ?? '', /at most 10 tokens, got 13/)
  })
})

test("ToolACE's calls of unknown tools are left out or kept, too", async () => {
  const record = toolace(0)
  record.conversations[1]!.value = '[h(a=1.0)]'
  await withFolder([record], async ({ build, path, ids }) => {
    const { pipeline } = await build()
    assert.is(pipeline.tally.counts.get('unknown_tool'), 1)
    const kept = await build({ keepUnknownTools: true, output: path('kept.jsonl') })
    assert.is(kept.pipeline.tally.dropped, 0)
    const { examples } = await loadDataset(path('kept.jsonl'))
    assert.equal(
      examples.map(({ truth }) => truth),
      ['[{"name": "h", "arguments": {"a": 1.0}}]', '[{"name": "f", "arguments": {"a": 2}}]'],
    )
    assert.is(ids()[0], ids('kept.jsonl')[1]) // whether the other is kept or not, and so what is drawn by it
  })
})

test('answers in words are samples without a call on request', async () => {
  await withFolder([toolace(0)], async ({ build, path }) => {
    await build({ noCall: true })
    const { examples } = await loadDataset(path('out.jsonl'))
    assert.equal(
      examples.map(({ truth }) => truth),
      ['[{"name": "f", "arguments": {"a": 1.0}}]', '[]', '[{"name": "f", "arguments": {"a": 2}}]'],
    )
  })
})

test('shares of irrelevance copies and of masks are what was asked for', async () => {
  const records = Array.from({ length: 2000 }, (_, i) => xlam(i))
  await withFolder(records, async ({ build, ids, text }) => {
    await build({ irrelevance: 0.15, mask: 0.67 })
    const copies = ids().filter((id) => id.endsWith('~irrelevant')).length
    assert.ok(Math.abs(copies / 2000 - 0.15) < 0.03, `${copies} copies`)
    const plain = text()
      .split('\n')
      .filter((line) => line.includes('"name": "g"')).length
    assert.ok(Math.abs(plain / (2000 + copies) - 0.33) < 0.04, `${plain} with their names`)
  })
})

test("Table 1: records before, samples after, by source and turns, beside the paper's", async () => {
  await withFolder(many, async ({ build, path }) => {
    const { counts } = await build()
    const rows = table1(counts)
    assert.equal(
      rows.map(({ source, raw, processed }) => [source, raw, processed]),
      [
        ['xlam single', 30, 30],
        ['xlam multi', 0, 0],
        ['toolace single', 0, 10],
        ['toolace multi', 10, 10],
      ],
    )
    assert.equal(rows[2]?.paper, { raw: 10_500, processed: 8_183 })
    // A built file still knows where its samples come from.
    const again = await build({ output: path('again.jsonl') }, [path('out.jsonl')])
    assert.equal(
      table1(again.counts).map(({ processed }) => processed),
      [30, 0, 10, 10],
    )
  })
})

test('an error leaves nothing behind, and an older output as it was', async () => {
  await withFolder(many, async ({ build, path, text }) => {
    writeFileSync(path('bad.jsonl'), '{"id": 1}\n{}\n')
    writeFileSync(path('out.jsonl'), 'older')
    const others = { shuffle: true, dropped: path('dropped.jsonl') }
    assert.is((await rejection(build(others, [path('bad.jsonl')]))).code, 'ERR_DATA')
    assert.match((await rejection(build({ strict: true }, [path('bad.jsonl')]))).message, /bad\.jsonl:1: /)
    assert.is((await rejection(build({}, [path('missing.jsonl')]))).code, 'ERR_IO')
    assert.is((await rejection(build({ output: path('in.jsonl/x/out.jsonl') }))).code, 'ERR_IO')
    assert.is(text(), 'older')
    assert.equal(readdirSync(path('.')).sort(), ['bad.jsonl', 'in.jsonl', 'out.jsonl'])
    assert.not.ok(existsSync(path('dropped.jsonl')))
    // A file that is no data set spoils no other.
    writeFileSync(path('gone.jsonl'), new Uint8Array([0x1f, 0x8b, 8]))
    const { pipeline } = await build({}, [path('gone.jsonl'), path('in.jsonl')])
    assert.is(pipeline.tally.counts.get('file'), 1)
  })
})

test('an output that is another one, or an input, is refused before anything is written', async () => {
  await withFolder(many, async ({ build, path, text, input }) => {
    writeFileSync(path('out.jsonl'), 'older')
    symlinkSync(path('in.jsonl'), path('link.jsonl'))
    const before = text('in.jsonl')
    const cases: [Partial<BuildOptions>, RegExp][] = [
      [
        { split: { share: 0.5, output: path('./x/../out.jsonl') } },
        /split\.output \(--test-output\): .*which is output \(--output\)/,
      ],
      [{ dropped: path('out.jsonl') }, /dropped \(--dropped\): .*which is output/],
      [{ output: input }, /output \(--output\): .*which is an input/],
      [{ dropped: path('link.jsonl') }, /dropped .*which is an input/],
    ]
    for (const [options, message] of cases) {
      const error = await rejection(build(options))
      assert.is(error.code, 'ERR_CONFIG', error.message)
      assert.match(error.message, message)
    }
    assert.is(text(), 'older')
    assert.is(text('in.jsonl'), before)
    assert.equal(readdirSync(path('.')).sort(), ['in.jsonl', 'link.jsonl', 'out.jsonl'])
  })
})

test('a folder or an empty file among the inputs costs nothing but itself; records that are left out add up', async () => {
  const unread = {
    ...toolace(2),
    conversations: [
      { from: 'human', value: 'q' },
      { from: 'gpt', value: '[g()]' },
    ],
  }
  const partly = toolace(3)
  partly.conversations[1] = { from: 'gpt', value: '[f(' }
  await withFolder([xlam(1), unread, partly, {}], async ({ build, path, input }) => {
    writeFileSync(path('empty.jsonl'), '')
    const inputs = [path('.'), path('empty.jsonl'), input]
    const { pipeline, counts } = await build({}, inputs)
    assert.equal(Object.fromEntries(pipeline.tally.counts), { file: 2, unknown_tool: 1, calls: 1, field: 1 })
    assert.equal([counts.records, counts.leftOut, counts.samplesLeftOut], [6, 4, 1])
    assert.match((await rejection(build({ strict: true }, inputs))).message, /expected a file, got a folder/)
    const nothing = await rejection(build({}, [path('empty.jsonl'), path('.')]))
    assert.match(nothing.message, /got none of 2; .*empty\.jsonl: expected JSON, JSONL or parquet, got an empty file/)
  })
})

test('spreads of whole numbers', () => {
  const numbers = new Numbers()
  assert.equal(numbers.spread(), { mean: 0, min: 0, median: 0, p95: 0, max: 0 })
  for (let i = 5000; i > 0; i--) numbers.add(i)
  assert.equal(numbers.spread(), { mean: 2500.5, min: 1, median: 2501, p95: 4751, max: 5000 })
})

test.run()
