import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Category, categories } from '../../../lib/eval/bfcl/categories.js'
import { loadBfcl } from '../../../lib/eval/bfcl/dataset.js'
import { fixtureData } from './support.js'

const test = suite<{ folder: string }>('BFCL data folders')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-bfcl-'))
  cpSync(fixtureData, context.folder, { recursive: true })
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const file = (folder: string, category: Category, part = 'question') => join(folder, part, `BFCL_v4_${category}.json`)
const load = (folder: string, category: Category, strict = false) =>
  loadBfcl(folder, { version: 'v4', categories: [category], strict })

/** Rewrites the lines of a category's questions. */
function rewrite(folder: string, category: Category, change: (lines: string[]) => string[] | Uint8Array): void {
  const path = file(folder, category)
  const changed = change(readFileSync(path, 'utf8').trimEnd().split('\n'))
  writeFileSync(path, Array.isArray(changed) ? `${changed.join('\n')}\n` : changed)
}

async function rejection(work: Promise<unknown>): Promise<Error & { code: string }> {
  try {
    await work
  } catch (error) {
    return error as Error & { code: string }
  }
  return assert.unreachable() as never
}

test('all categories of version 4, numbers as they are written', async ({ folder }) => {
  const { questions, problems } = await loadBfcl(folder, { version: 'v4' })
  assert.equal([...questions.keys()], [...categories])
  assert.equal(problems.list, [])
  const values = [...questions.get('simple_python')!].flatMap(({ truth }) => [...truth[0]!.arguments.values()].flat())
  assert.ok(values.some((value) => typeof value === 'bigint'))
})

test('version 3 from version 4: other names, replaced questions and answers, its own relevance file', async ({
  folder,
}) => {
  const { questions } = await loadBfcl(folder, { version: 'v3' })
  assert.match(questions.get('simple_python')![0]!.id, /^simple_\d+$/)
  assert.match(questions.get('simple_java')![0]!.id, /^java_\d+$/)
  const relevance = questions.get('live_relevance')!.map(({ id }) => id)
  assert.equal(relevance, ['live_relevance_3-3-0', 'live_relevance_3-3-0'], 'one id, two questions')
})

test('overrides change what they name and nothing else', async ({ folder }) => {
  const id = (await load(folder, 'parallel')).questions.get('parallel')![0]!.id
  const overrides = {
    questions: { [id]: { question: [[{ role: 'user', content: 'other' }]] } },
    answers: { [id]: [{ other_function: { a: [1.5] } }] },
    not_in_v3: [(await load(folder, 'irrelevance')).questions.get('irrelevance')![0]!.id],
    id_renames: {},
  }
  writeFileSync(join(folder, 'v3_overrides.json'), JSON.stringify(overrides))
  const { questions } = await loadBfcl(folder, { version: 'v3', categories: ['parallel', 'multiple'] })
  const [changed, ...others] = questions.get('parallel')!
  assert.is(changed?.messages[0]?.content, 'other')
  assert.is(changed?.truth[0]?.name, 'other_function')
  assert.ok(others.every(({ messages }) => messages[0]?.content !== 'other'))
})

test("the official repository's layout, and version 3's own files", async ({ folder }) => {
  renameSync(join(folder, 'question'), join(folder, 'data'))
  renameSync(join(folder, 'possible_answer'), join(folder, 'data', 'possible_answer'))
  assert.ok((await load(folder, 'multiple')).questions.get('multiple')!.length > 0)
  for (const part of ['', 'possible_answer']) {
    const at = (name: string) => join(folder, 'data', part, name)
    renameSync(at('BFCL_v4_simple_python.json'), at('BFCL_v3_simple.json'))
  }
  const { questions } = await loadBfcl(folder, { version: 'v3', categories: ['simple_python'] })
  assert.match(questions.get('simple_python')![0]!.id, /^simple_python_/, 'ids as the file has them')
})

test('what is missing is said by name', async ({ folder }) => {
  rmSync(file(folder, 'multiple'))
  const error = await rejection(load(folder, 'multiple'))
  assert.is(error.code, 'ERR_IO')
  assert.match(error.message, /BFCL_v4_multiple\.json/)
  rmSync(join(folder, 'v3_overrides.json'))
  assert.match((await rejection(loadBfcl(folder, { version: 'v3' }))).message, /v3_overrides\.json/)
})

test('bad records are left out and reported by line; strict makes the first an error', async ({ folder }) => {
  const bad = [
    '{"id": "x_1"}',
    '{"id": "x_2", "question": [[]], "function": []}',
    '{"id": "x_3", "question": [[{"role": "user", "content": 5}]], "function": []}',
    '{"id": "x_4", "question": [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]], "function": []}',
    '{"question": [[{"role": "user", "content": "a"}]], "function": []}',
    '{"id": "x_5", "question": [[{"role": "user", "content": "a"}]], "function": [{"name": "f", "parameters": 3}]}',
    '[1, 2]',
    '{"id": "half',
    `{"id": "deep", "question": ${'['.repeat(100_000)}`,
  ]
  let whole = 0
  rewrite(folder, 'multiple', (lines) => {
    whole = lines.length
    return [...bad, ...lines]
  })
  const { questions, problems } = await load(folder, 'multiple')
  assert.is(questions.get('multiple')!.length, whole)
  assert.equal(
    problems.list.map(({ line }) => line),
    bad.map((_, i) => i + 1),
  )
  assert.ok(problems.list.every(({ file: name, reason }) => name === 'question/BFCL_v4_multiple.json' && reason !== ''))
  assert.match(problems.list[3]!.reason, /multi-turn is not covered/)
  const error = await rejection(load(folder, 'multiple', true))
  assert.is(error.code, 'ERR_DATA')
  assert.match(error.message, /question\/BFCL_v4_multiple\.json:1: /)
})

test('a second record of an id, and a question without an answer, are left out', async ({ folder }) => {
  rewrite(folder, 'multiple', (lines) => [...lines, lines[0]!])
  const { questions, problems } = await load(folder, 'multiple')
  assert.is(problems.list[0]?.kind, 'duplicate_id')
  const count = questions.get('multiple')!.length
  const answers = file(folder, 'multiple', 'possible_answer')
  writeFileSync(answers, readFileSync(answers, 'utf8').split('\n').slice(1).join('\n'))
  const fewer = await load(folder, 'multiple')
  assert.is(fewer.questions.get('multiple')!.length, count - 1)
  const { file: place, reason } = fewer.problems.list.at(-1)!
  assert.match(reason, /no right answer/)
  assert.is(place, 'possible_answer/BFCL_v4_multiple.json', 'of the two files of that name')
})

test('CRLF and a byte-order mark do no harm; keys like __proto__ and huge integers are data', async ({ folder }) => {
  const before = (await load(folder, 'simple_python')).questions.get('simple_python')!
  rewrite(folder, 'simple_python', (lines) => {
    const odd =
      '{"id": "simple_python_999", "question": [[{"role": "user", "content": "a"}]], "function": [{"name": "f", "__proto__": {"polluted": 1}, "parameters": {"type": "dict", "properties": {"__proto__": {"type": "integer"}}, "required": []}}]}'
    return Buffer.from(`\ufeff${[...lines, odd].join('\r\n')}\r\n`)
  })
  const answer = `{"id": "simple_python_999", "ground_truth": [{"f": {"__proto__": [${'9'.repeat(400)}]}}]}`
  const answers = file(folder, 'simple_python', 'possible_answer')
  writeFileSync(answers, `${readFileSync(answers, 'utf8').trimEnd()}\n${answer}\n`)
  const after = (await load(folder, 'simple_python')).questions.get('simple_python')!
  assert.equal(
    after.slice(0, -1).map(({ id }) => id),
    before.map(({ id }) => id),
  )
  const odd = after.at(-1)!
  assert.is(odd.truth[0]!.arguments.get('__proto__')![0], BigInt('9'.repeat(400)))
  assert.is(odd.schemas[0]!.properties.get('__proto__')?.type, 'integer')
  assert.is(({} as { polluted?: number }).polluted, undefined)
})

test('gzip by mistake, other bytes and an empty file are fatal, saying why', async ({ folder }) => {
  rewrite(folder, 'multiple', (lines) => gzipSync(lines.join('\n')))
  assert.match((await rejection(load(folder, 'multiple'))).message, /gzip/)
  rewrite(folder, 'parallel', () => Buffer.from([0x7b, 0xff, 0xfe, 0x7d]))
  assert.is((await rejection(load(folder, 'parallel'))).code, 'ERR_DATA')
  rewrite(folder, 'irrelevance', () => Buffer.alloc(0))
  assert.is((await rejection(load(folder, 'irrelevance'))).code, 'ERR_DATA')
})

test.run()
