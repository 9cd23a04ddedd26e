import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pyRound, scoreCategory } from '../../lib/eval/acebench/aggregate.js'
import { categories } from '../../lib/eval/acebench/categories.js'
import { isStrictMatch } from '../../lib/eval/acebench/check.js'
import { type AceDataset, loadAceBench } from '../../lib/eval/acebench/dataset.js'
import { decodeAnswer, firstBracketed } from '../../lib/eval/acebench/decode.js'
import { evaluateAceBench } from '../../lib/eval/acebench/evaluate.js'
import { writeAceFiles } from '../../lib/eval/acebench/files.js'
import { categoryRows, failuresOf, paperTable } from '../../lib/eval/acebench/summary.js'
import type { AceQuestion } from '../../lib/eval/acebench/types.js'
import { AnswerStore } from '../../lib/eval/answer-store.js'
import type { Question } from '../../lib/eval/asker.js'
import { printJson } from '../../lib/text/json-print.js'
import { toJson } from '../../lib/text/python/json.js'
import { pyRepr } from '../../lib/text/python/repr.js'
import type { PyDict, PyValue } from '../../lib/text/python/value.js'
import { compare } from '../parity/acebench.js'
import { repositoryRoot } from '../support/shared.js'
import { cpuMilliseconds } from '../support/time.js'
import { FakeAsker } from './fake-asker.js'

const fixtures = join(repositoryRoot, 'test/fixtures/acebench')
const test = suite<{ folder: string; dataset: AceDataset }>('acebench')
test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-acebench-'))
  context.dataset = await loadAceBench(fixtures, { version: 'head' })
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

test('verdicts, decoded calls, prompts and aggregates are those of the official code', async () => {
  const { cases, messages } = await compare(fixtures, fixtures)
  assert.ok(cases > 700, `${cases} cases`)
  assert.equal(messages, [])
})

const questionsOf = ({ questions }: AceDataset) => [...questions.values()].flat()

/** The right calls of a question, one of them where there are several answers. */
function rightCalls({ truth }: AceQuestion): [string, PyDict][] {
  const answer = (Array.isArray(truth) ? truth[0] : truth) as PyDict
  return [...answer].map(([key, args]) => [String(key).replace(/_\d+$/, ''), args as PyDict])
}

function rightText(question: AceQuestion): string {
  if (question.category === 'special_irrelevant') return `["Due to the limitations of the function, I cannot."]`
  const special =
    question.category === 'special_incomplete' ? 'Missing necessary parameters' : 'There is incorrect value'
  if (question.category.startsWith('special')) return `["${special} ${pyRepr(question.truth as PyValue)}"]`
  const calls = rightCalls(question).map(([name, args]) => {
    return `${name}(${[...args].map(([key, value]) => `${String(key)}=${pyRepr(value)}`).join(', ')})`
  })
  return `[${calls.join(', ')}]`
}

const rightJson = (question: AceQuestion) =>
  rightCalls(question).map(([name, args]) => ({ name, arguments: printJson(toJson(args)) }))

test('right answers are right in every form', async ({ dataset }) => {
  const byId = new Map(questionsOf(dataset).map((question) => [question.id, question]))
  const find = ({ id }: Question) => byId.get(id) as AceQuestion
  const prompt = await evaluateAceBench(new FakeAsker((asked) => ({ text: rightText(find(asked)) })), dataset, {
    handler: 'prompt',
  })
  for (const row of categoryRows(prompt)) {
    // Multi-turn answers lose their spaces, so that some right answers are none: ACEBench's own ceiling.
    if (!row.name.includes('multi_turn')) assert.is(row.accuracy, 1, row.name)
    assert.ok(row.strict === null || row.strict === 1 || row.name.includes('multi_turn'), row.name)
  }
  const normal = {
    ...dataset,
    questions: new Map([...dataset.questions].filter(([name]) => name.startsWith('normal'))),
  }
  const json = (asked: Question) => {
    const list = rightJson(find(asked)).map(({ name, arguments: args }) => `{"name": "${name}", "arguments": ${args}}`)
    return { text: `<think>So.</think> <tool_call>[${list.join(', ')}]</tool_call>` }
  }
  const toolN1 = await evaluateAceBench(new FakeAsker(json), normal, { handler: 'tool-n1' })
  const native = await evaluateAceBench(new FakeAsker((asked) => ({ calls: rightJson(find(asked)) })), normal, {
    handler: 'qwen-fc',
    native: true,
  })
  for (const report of [toolN1, native]) {
    assert.equal(
      categoryRows(report).filter(({ value, strict }) => value !== 1 || strict !== 1),
      [],
    )
    assert.is(paperTable(report).rows.at(-1)?.[3], '100.00')
  }
})

test('each handler asks in its own form', async ({ dataset }) => {
  const [question] = dataset.questions.get('normal_preference') as [AceQuestion]
  const ask = async (handler: 'tool-n1' | 'tool-n1-no-reason' | 'qwen-fc', native = false) => {
    const asker = new FakeAsker(() => ({ text: '' }))
    const one = { ...dataset, questions: new Map([['normal_preference', [question]]]) } as AceDataset
    await evaluateAceBench(asker, one, { handler, native })
    return asker.questions.get(question.id) as Question
  }
  const toolN1 = await ask('tool-n1')
  assert.match(toolN1.messages[0]?.content ?? '', /^You are an expert in composing functions\.[\s\S]*<tools>/)
  assert.match(toolN1.messages[1]?.content ?? '', /^Character Profile:\n/)
  const silent = await ask('tool-n1-no-reason')
  assert.match(toolN1.messages[0]?.content ?? '', '<think>')
  assert.match(silent.messages[0]?.content ?? '', /<tools>[\s\S]*<tool_call>/)
  assert.not.match(silent.messages[0]?.content ?? '', 'think')
  const native = await ask('qwen-fc', true)
  assert.is(native.tools?.length, question.functions.length)
  for (const { function: tool } of native.tools ?? []) {
    assert.match(tool.name, /^[\w-]{1,64}$/)
    assert.ok(tool.parameters)
  }
})

test('a real dialogue becomes turns', async ({ dataset }) => {
  const asker = new FakeAsker(() => ({ text: '' }))
  await evaluateAceBench(asker, dataset, { handler: 'qwen-fc' })
  const [, second] = dataset.questions.get('normal_multi_turn_user_switch') as AceQuestion[]
  const roles = asker.questions.get(second!.id)?.messages.map(({ role }) => role) ?? []
  assert.ok(roles.length >= 3)
  assert.is(roles[0], 'user')
  assert.is(roles[1], 'assistant')
})

test('versions differ in what they can read', ({ dataset }) => {
  const [question] = dataset.questions.get('normal_atom_bool') as [AceQuestion]
  const right = rightText(question)
  assert.ok(decodeAnswer(`Sure: ${right}`, question.category, 'head'))
  assert.is(decodeAnswer(`Sure: ${right}`, question.category, '2504'), null)
  assert.is(decodeAnswer('f(a=1)', question.category, 'head'), null)
  const [spaced] = decodeAnswer("[f(a='x y')]", question.category, '2504') ?? []
  assert.is(spaced?.args.get('a'), 'xy')
  assert.is(firstBracketed('a [b [c] d] e]'), '[b [c] d]')
  assert.is(firstBracketed('] [a]'), null)
})

test('a strict match wants exactly the right arguments', ({ dataset }) => {
  const [question] = dataset.questions.get('normal_atom_bool') as [AceQuestion]
  const calls = rightCalls(question).map(([name, args]) => ({ name, args }))
  assert.ok(isStrictMatch(calls, question))
  const [{ name, args }] = calls as [{ name: string; args: PyDict }]
  for (const [key, value] of args) {
    assert.not.ok(isStrictMatch([{ name, args: new Map([...args].filter(([k]) => k !== key)) }], question))
    if (typeof value === 'boolean') {
      assert.not.ok(isStrictMatch([{ name, args: new Map(args).set(key, !value) }], question))
    }
  }
})

test('a kill loses no stored answer and asks no stored question again', async ({ dataset, folder }) => {
  const path = join(folder, 'answers.jsonl')
  const reply = () => ({ text: '[nothing()]' })
  const killed = new FakeAsker(reply, 7)
  const first = new AnswerStore(path)
  await evaluateAceBench(killed, dataset, { handler: 'prompt', store: first }).then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'killed'),
  )
  first.close()
  const resumed = new FakeAsker(reply)
  const second = new AnswerStore(path)
  const report = await evaluateAceBench(resumed, dataset, { handler: 'prompt', store: second })
  second.close()
  assert.is(report.stored, 7)
  assert.equal(
    [...killed.asked, ...resumed.asked].sort(),
    questionsOf(dataset)
      .map(({ id }) => id)
      .sort(),
  )
  assert.is(failuresOf(report).length, questionsOf(dataset).length)
})

test('files are laid out as the official tool lays them out', async ({ dataset, folder }) => {
  const report = await evaluateAceBench(new FakeAsker(() => ({ text: 'No.' })), dataset, { handler: 'prompt' })
  writeAceFiles(folder, report)
  for (const category of categories) {
    const read = (kind: string) =>
      readFileSync(join(folder, `${kind}_all/${kind}_en/lab_fake/data_${category}_${kind}.json`), 'utf8')
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    const [head, ...failures] = read('score')
    const count = dataset.questions.get(category)?.length
    assert.is(head?.accuracy, 0)
    assert.is(head?.total_count, count)
    assert.is(failures.length, count)
    for (const failure of failures) assert.ok(failure.error_type && failure.possible_answer !== undefined)
    for (const line of read('result')) assert.is(line.result, 'No.')
  }
  assert.match(
    readFileSync(join(folder, 'score_all/score_en/result.csv'), 'utf8'),
    /^Model,code,[^\n]*\nlab\/fake,head,/,
  )
})

const badRows = [
  '{"id": "normal_atom_bool_900", "question": "user: x", "function": []',
  '{"id": "normal_atom_bool_901", "function": []}',
  '{"id": "normal_atom_bool_902", "question": 5, "function": []}',
  '[1, 2]',
  '{"id": "normal_atom_bool_903", "question": "user: x", "function": [{"description": "no name"}]}',
  `{"id": "normal_atom_bool_904", "question": "user: x", "function": ${'['.repeat(2000)}${']'.repeat(2000)}}`,
  '{"id": "normal_atom_bool_905", "question": "user: no answer", "function": [], "__proto__": {"x": 1}}',
]

test('bad rows are reported with file, line and reason; strict makes the first fatal', async ({ folder }) => {
  cpSync(fixtures, folder, { recursive: true })
  const path = join(folder, 'question/normal_atom_bool.jsonl')
  const good = readFileSync(path, 'utf8').trim()
  // A byte-order mark, CRLF, an empty line, and the same question once more.
  writeFileSync(path, `\ufeff${[good, ...badRows, '', good].join('\r\n')}\r\n`)
  const options = { version: 'head', categories: ['normal_atom_bool'] } as const
  const { questions, problems } = await loadAceBench(folder, options)
  assert.is(questions.get('normal_atom_bool')?.length, 1)
  assert.equal(
    problems.list.map(({ line }) => line),
    [2, 3, 4, 5, 6, 7, 10, 0],
  )
  for (const { file, reason } of problems.list) assert.ok(file.endsWith('/normal_atom_bool.jsonl') && reason.length > 5)
  await loadAceBench(folder, { ...options, strict: true }).then(
    () => assert.unreachable(),
    (error: Error & { code: string }) => {
      assert.is(error.code, 'ERR_DATA')
      assert.match(error.message, /normal_atom_bool\.jsonl:2/)
    },
  )
  writeFileSync(path, Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]))
  await loadAceBench(folder, options).then(
    () => assert.unreachable(),
    (error: Error & { code: string }) => assert.is(error.code, 'ERR_DATA'),
  )
  await loadAceBench(join(folder, 'nowhere'), options).then(
    () => assert.unreachable(),
    (error: Error & { code: string }) => assert.is(error.code, 'ERR_IO'),
  )
})

test("the official repository's layout and April's rows are understood", async ({ folder }) => {
  const at = join(folder, 'data_all/data_en')
  mkdirSync(join(at, 'possible_answer'), { recursive: true })
  for (const part of ['question', 'possible_answer']) {
    const to = join(at, part === 'question' ? '.' : part, 'data_normal_atom_bool.json')
    cpSync(join(fixtures, part, 'normal_atom_bool.jsonl'), to)
  }
  const options = { version: '2504', categories: ['normal_atom_bool'] } as const
  const official = await loadAceBench(folder, options)
  assert.is(official.overridden, false)
  const [question] = official.questions.get('normal_atom_bool') as [AceQuestion]
  const changed = { possible_answer: { [question.id]: { id: question.id, ground_truth: { other: { a: 1 } } } } }
  writeFileSync(join(folder, 'v2504_overrides.json'), JSON.stringify(changed))
  const april = await loadAceBench(folder, options)
  assert.is(pyRepr(april.questions.get('normal_atom_bool')?.[0]?.truth as PyValue), "{'other': {'a': 1}}")
})

test('Python rounds ties to even, also where a double only looks like one', () => {
  assert.is(pyRound(0.0625, 3), 0.062)
  assert.is(pyRound(0.1875, 3), 0.188)
  assert.is(pyRound(0.3775, 3), 0.378)
  assert.is(pyRound(2.5, 0), 2)
  assert.is(pyRound(1 / 3, 3), 0.333)
  assert.is(scoreCategory('normal_atom_bool', []).accuracy, 0)
})

test('a megabyte of anything is decoded in less than a second', () => {
  for (const unit of ['[', ']', '[]', '[f(', "[f(a='", 'f(a=1),', '[[1],', ' ', '\u3000', '"[', '[f()],']) {
    const text = unit.repeat(Math.ceil(1_000_000 / unit.length))
    for (const version of ['head', '2504'] as const) {
      const milliseconds = cpuMilliseconds(() => decodeAnswer(text, 'normal_atom_bool', version))
      assert.ok(milliseconds < 1000, `${JSON.stringify(unit)} ${version}: ${milliseconds.toFixed(0)} ms`)
    }
  }
})

test.run()
