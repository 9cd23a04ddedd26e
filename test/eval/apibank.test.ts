import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AnswerStore } from '../../lib/eval/answer-store.js'
import { type ApiBankDataset, loadApiBank, parametersOf } from '../../lib/eval/apibank/dataset.js'
import { evaluateApiBank } from '../../lib/eval/apibank/evaluate.js'
import { writeApiBankFiles } from '../../lib/eval/apibank/files.js'
import { officialVerdict } from '../../lib/eval/apibank/official.js'
import { parseOfficial, parseWritten, readCalls } from '../../lib/eval/apibank/parse.js'
import { portableDifference } from '../../lib/eval/apibank/portable.js'
import { failuresOf, rows } from '../../lib/eval/apibank/summary.js'
import type { ApiBankQuestion } from '../../lib/eval/apibank/types.js'
import type { Question } from '../../lib/eval/asker.js'
import type { Handler } from '../../lib/eval/tool-calls.js'
import { repositoryRoot, sharedPath } from '../support/shared.js'
import { cpuMilliseconds } from '../support/time.js'
import { FakeAsker } from './fake-asker.js'

const fixtures = join(repositoryRoot, 'test/fixtures/apibank')
const test = suite<{ folder: string; dataset: ApiBankDataset }>('api-bank')
test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-apibank-'))
  context.dataset = await loadApiBank(fixtures)
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const questionsOf = ({ questions }: ApiBankDataset) => [...questions.values()].flat()
const named = (dataset: ApiBankDataset, name: string) =>
  questionsOf(dataset).find(({ right }) => right.name === name) as ApiBankQuestion

/** Right calls, as the files spell them, are found and accepted exactly where API-Bank's own code accepts them. */
function checkGold(dataset: ApiBankDataset): void {
  for (const question of questionsOf(dataset)) {
    const { expected, right, apis, officialAccepts } = question
    const parameters = (name: string) => parametersOf(apis.find((api) => api.get('name') === name))
    const read = parseWritten(expected, parameters(right.name))
    assert.ok(read && portableDifference(read, right) === null && portableDifference(right, read) === null, expected)
    const calls = readCalls(`API-Request: ${expected}`, parameters) ?? []
    assert.ok(
      calls.some((call) => portableDifference(call, right) === null),
      expected,
    )
    const { valid, error } = officialVerdict(`API-Request: ${expected}`, question, dataset.tokens)
    assert.is(valid, officialAccepts, `${expected}: ${error}`)
  }
}

test('right calls are read, and accepted where the official code accepts them', ({ dataset }) => checkGold(dataset))

test('all of API-Bank: 337 of 399 and 80 of 135 right calls pass the official rule', async () => {
  const data = sharedPath('data/apibank')
  if (data === null) return
  const dataset = await loadApiBank(data, { strict: true })
  checkGold(dataset)
  const counts = [...dataset.questions].map(([name, list]) => [
    name,
    list.length,
    list.filter(({ officialAccepts }) => officialAccepts).length,
    list.filter(({ duplicate }) => duplicate).length,
  ])
  assert.equal(counts, [
    ['call', 399, 337, 10],
    ['retrieve+call', 135, 80, 16],
  ])
})

const official = (question: ApiBankQuestion, text: string, tokens: string[] = []) => {
  const { valid, errorType } = officialVerdict(text, question, new Set(tokens))
  return errorType ?? valid
}

test('the official rule forgives what the checks of its APIs forgive', ({ dataset }) => {
  const day = named(dataset, 'QueryHistoryToday')
  const date = day.right.args.get('date') as string
  assert.is(official(day, `[QueryHistoryToday(date='${date}')]`), true)
  assert.is(official(day, `[QueryHistoryToday(date=' 2023-${date} ')]`), true)
  assert.is(official(day, "[QueryHistoryToday(date='13-45')]"), 'INPUT_MISMATCH')
  const sum = named(dataset, 'Calculator')
  const formula = sum.right.args.get('formula') as string
  assert.is(official(sum, `x [Calculator(formula = "${[...formula].join(' ')}")] y`), true)
  const agenda = named(dataset, 'AddAgenda')
  const args = new Map(agenda.right.args)
  const say = () => `[AddAgenda(${[...args].map(([key, value]) => `${key}='${value}'`).join(', ')})]`
  assert.is(official(agenda, say()), true)
  args.set('content', `${args.get('content')} today`)
  assert.is(official(agenda, say()), args.get('content')!.split(' ').length > 2 ? true : 'INPUT_MISMATCH')
  args.set('content', 'something else altogether')
  assert.is(official(agenda, say()), 'INPUT_MISMATCH')
  args.set('content', agenda.right.args.get('content') as string).set('token', 'of-someone-else')
  assert.is(official(agenda, say()), 'INPUT_MISMATCH')
  assert.is(official(agenda, say(), ['of-someone-else']), true)
})

test('the official rule names what is wrong as the official evaluator does', ({ dataset }) => {
  const sum = named(dataset, 'Calculator')
  assert.is(official(sum, 'Calculator(formula=1)'), 'NO_API_CALL')
  assert.is(official(sum, '[\nCalculator(formula=1)]'), 'NO_API_CALL')
  assert.is(official(sum, "[Wiki(keyword='x')]"), 'API_NAME_MISMATCH')
  assert.is(official(sum, "[Calculator(term='1+1')]"), 'INVALID_INPUT_PARAMETER')
  assert.is(official(sum, '[Calculator()]'), 'MISS_INPUT_ARGUMENT')
  const health = named(dataset, 'RecordHealthData')
  assert.is(official(health, health.expected), 'FAILED_PARSE_API_CALL')
  // Without the quotes around the list the pattern does not cut it.
  assert.is(official(health, health.expected.replace("'[", '[').replace("]'", ']')), true)
  assert.is(
    official(named(dataset, 'CancelTimedSwitch'), named(dataset, 'CancelTimedSwitch').expected),
    'INVALID_INPUT_PARAMETER',
  )
  assert.is(official(named(dataset, 'ToolSearcher'), named(dataset, 'ToolSearcher').expected), 'OUTPUT_MISMATCH')
})

test("the official reader is the official expressions' equal", () => {
  // re.search(r"\[(\w+)\((.*)\)\]") and re.finditer(r"(\w+)\s*=\s*['\"](.+?)['\"]|(\w+)\s*=\s*(\[.*\])|(\w+)\s*=\s*(\w+)") of CPython
  const cases: [string, [string, Record<string, string>] | null][] = [
    ['[f(a=\'x\', b = "y", c=5)]', ['f', { a: 'x', b: 'y', c: '5' }]],
    ["[f(a='it's', b='z')]", ['f', { a: 'it', b: 'z' }]],
    ["[f(a='', b='z')]", ['f', { a: "', b=" }]],
    ['[f(a=[1, 2], b=[3])]', ['f', { a: '[1, 2], b=[3]' }]],
    ["[f(a='[{'n': 'v'}]')]", ['f', { a: '[{' }]],
    ['[f(a=-5, b=1.5)]', ['f', { b: '1' }]],
    ['text [f(a=1)] more [g(b=2)]', ['f', { a: '1', b: '2' }]],
    ['[f(\n)]', null],
    ['[f()]', ['f', {}]],
    ['[a.f(x=1)]', null],
    ['[[f(x=1)]]', ['f', { x: '1' }]],
    ["[f(a='x)]", ['f', {}]],
  ]
  for (const [text, expected] of cases) {
    const call = parseOfficial(text)
    assert.equal(call && [call.name, Object.fromEntries(call.args)], expected, text)
  }
})

const json = ({ right }: ApiBankQuestion) => {
  return JSON.stringify({ name: right.name, arguments: Object.fromEntries(right.args) })
}

test('right answers are right in every form, and both rules are reported', async ({ dataset }) => {
  const byId = new Map(questionsOf(dataset).map((question) => [question.id, question]))
  const find = ({ id }: Question) => byId.get(id) as ApiBankQuestion
  const replies = {
    prompt: (asked: Question) => ({ text: `<think>[x]</think>API-Request: ${find(asked).expected}` }),
    'tool-n1': (asked: Question) => ({ text: `<think>.</think><tool_call>[${json(find(asked))}]</tool_call>` }),
    'tool-n1-no-reason': (asked: Question) => ({ text: `<tool_call>[${json(find(asked))}]</tool_call>` }),
    'qwen-fc': (asked: Question) => ({ text: `<tool_call>\n${json(find(asked))}\n</tool_call>` }),
  }
  for (const handler of ['prompt', 'tool-n1', 'tool-n1-no-reason', 'qwen-fc'] as const) {
    const report = await evaluateApiBank(new FakeAsker(replies[handler]), dataset, { handler })
    for (const { name, portable } of rows(report)) assert.is(portable.value, 1, `${handler} ${name}`)
    const [call] = rows(report)
    assert.ok(call!.official.value < 1 && call!.onlyPortable > 0 && call!.unreachable > 0)
    assert.ok(failuresOf(report).every(({ errorType }) => errorType.startsWith('right / ')))
  }
})

test('the prompt is the file’s, word for word; functions are JSON Schema elsewhere', async ({ dataset }) => {
  const ask = async (handler: Handler) => {
    const asker = new FakeAsker(() => ({ text: '' }))
    await evaluateApiBank(asker, dataset, { handler, native: true })
    return asker.questions
  }
  const question = named(dataset, 'AddAgenda')
  const prompt = (await ask('prompt')).get(question.id)
  assert.equal(
    prompt?.messages.map(({ content }) => content),
    [question.instruction, question.input],
  )
  const native = (await ask('qwen-fc')).get(question.id)
  const tool = native?.tools?.find(({ function: { name } }) => name === 'AddAgenda')?.function
  assert.equal((tool?.parameters as { required: string[] } | undefined)?.required, [
    'token',
    'content',
    'time',
    'location',
  ])
  assert.match(native?.messages[0]?.content ?? '', /^The current year is 2023\.\n\nUser: /)
  const toolN1 = (await ask('tool-n1')).get(question.id)
  assert.match(toolN1?.messages[0]?.content ?? '', /"name": "AddAgenda"/)
  assert.match(toolN1?.messages[0]?.content ?? '', '<think>')
  const silent = (await ask('tool-n1-no-reason')).get(question.id)
  assert.match(silent?.messages[0]?.content ?? '', /"name": "AddAgenda"/)
  assert.not.match(silent?.messages[0]?.content ?? '', '<think>')
})

test('found APIs are offered in the second level', ({ dataset }) => {
  const question = dataset.questions.get('retrieve+call')?.find(({ right }) => right.name === 'QueryHistoryToday')
  assert.ok(question?.apis.some((api) => api.get('name') === 'QueryHistoryToday'))
  assert.ok(question?.apis.some((api) => api.get('name') === 'ToolSearcher'))
})

test('a kill loses no stored answer and asks no stored question again', async ({ dataset, folder }) => {
  const path = join(folder, 'answers.jsonl')
  const killed = new FakeAsker(() => ({ text: 'no' }), 5)
  const first = new AnswerStore(path)
  await evaluateApiBank(killed, dataset, { handler: 'prompt', store: first }).catch(() => undefined)
  first.close()
  const resumed = new FakeAsker(() => ({ text: 'no' }))
  const second = new AnswerStore(path)
  const report = await evaluateApiBank(resumed, dataset, { handler: 'prompt', store: second })
  second.close()
  assert.is(report.stored, 5)
  assert.equal(
    [...killed.asked, ...resumed.asked].sort(),
    questionsOf(dataset)
      .map(({ id }) => id)
      .sort(),
  )
})

test('predictions can be judged by the official evaluator', async ({ dataset, folder }) => {
  const report = await evaluateApiBank(new FakeAsker(() => ({ text: 'no' })), dataset, { handler: 'prompt' })
  writeApiBankFiles(folder, report)
  const lines = readFileSync(join(folder, 'pred/lab_fake/level-1-api.jsonl'), 'utf8').trim().split('\n')
  const rowsOf = JSON.parse(readFileSync(join(fixtures, 'level-1-api.json'), 'utf8')) as Record<string, unknown>[]
  assert.equal(
    lines.map((line) => JSON.parse(line)),
    rowsOf.map((row) => ({ ...row, pred: 'no' })),
  )
  const [head] = readFileSync(join(folder, 'score/lab_fake/level-2-api_score.json'), 'utf8').split('\n')
  assert.is(JSON.parse(head as string).official_errors.NO_API_CALL, dataset.questions.get('retrieve+call')?.length)
})

test('bad rows are reported and counted; strict makes the first fatal', async ({ folder }) => {
  cpSync(fixtures, folder, { recursive: true })
  const good = JSON.parse(readFileSync(join(fixtures, 'level-1-api.json'), 'utf8')) as Record<string, unknown>[]
  const bad = [
    { ...good[0], id: 'x' },
    { ...good[0], id: 901, expected_output: 'nothing' },
    { ...good[0], id: 902, instruction: 'no descriptions' },
    { ...good[0], id: 903, input: null },
    { ...good[0], id: 904, instruction: 'API descriptions:\n{"name": ' },
    { ...good[0], id: 905, instruction: `API descriptions:\n{"name": ${'9'.repeat(6000)}}` },
    { ...good[0], id: 906, input: '\ud800' },
    good[0],
  ]
  writeFileSync(join(folder, 'level-1-api.json'), JSON.stringify([...good, ...bad]))
  const { questions, problems } = await loadApiBank(folder, { categories: ['call'] })
  assert.is(questions.get('call')?.length, good.length)
  assert.is(problems.list.length, bad.length)
  for (const { file, line, reason } of problems.list)
    assert.ok(file === `${basename(folder)}/level-1-api.json` && line > good.length && reason)
  await loadApiBank(folder, { categories: ['call'], strict: true }).then(
    () => assert.unreachable(),
    (error: Error & { code: string }) => assert.is(error.code, 'ERR_DATA'),
  )
  await loadApiBank(join(folder, 'nowhere')).then(
    () => assert.unreachable(),
    (error: Error & { code: string }) => assert.is(error.code, 'ERR_IO'),
  )
})

test('a megabyte of anything is read in less than a second', ({ dataset }) => {
  const question = named(dataset, 'AddAgenda')
  const parameters = () => ['content', 'time']
  for (const unit of [
    '[',
    '[f(',
    "[f(a='",
    'a',
    'a ',
    "a='",
    'a=[',
    "[AddAgenda(content='",
    "content='x', ",
    ')]',
    "'",
    ' ',
    '\n[f(',
    "a=''",
  ]) {
    for (const text of [unit.repeat(1_000_000 / unit.length), `[AddAgenda(${unit.repeat(1_000_000 / unit.length)})]`]) {
      const milliseconds = cpuMilliseconds(() => {
        readCalls(text, parameters)
        officialVerdict(text, question, new Set())
      })
      assert.ok(milliseconds < 1000, `${JSON.stringify(unit)}: ${milliseconds.toFixed(0)} ms`)
    }
  }
})

test.run()
