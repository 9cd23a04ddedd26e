import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Answer, Asker, AskOptions, Question } from '../../../lib/eval/asker.js'
import type { BenchmarkSettings } from '../../../lib/eval/benchmark.js'
import { aggregate, paperScores, percentCell } from '../../../lib/eval/bfcl/aggregate.js'
import { type BfclVersion, categories, isRelevance } from '../../../lib/eval/bfcl/categories.js'
import { type BfclDataset, loadBfcl } from '../../../lib/eval/bfcl/dataset.js'
import { promptDocs } from '../../../lib/eval/bfcl/docs.js'
import { evaluateBfcl } from '../../../lib/eval/bfcl/evaluate.js'
import { failuresOf } from '../../../lib/eval/bfcl/failures.js'
import { writeBfclFiles } from '../../../lib/eval/bfcl/files.js'
import { promptText } from '../../../lib/eval/bfcl/prompts.js'
import { categoryTable, paperTable } from '../../../lib/eval/bfcl/summary.js'
import type { BfclQuestion } from '../../../lib/eval/bfcl/types.js'
import { failuresPage } from '../../../lib/eval/failures-page.js'
import { type Handler, handlers } from '../../../lib/eval/tool-calls.js'
import { printJson } from '../../../lib/text/json-print.js'
import { systemOf } from '../../../lib/text/prompts/formats.js'
import { toJson } from '../../../lib/text/python/json.js'
import { pyRepr } from '../../../lib/text/python/repr.js'
import type { PyValue } from '../../../lib/text/python/value.js'
import { fixtureData } from './support.js'

/** Answers each question by a function of its place. */
class Scripted implements Asker {
  readonly name = 'scripted/model'
  readonly settings = ''
  asked: Question[] = []
  constructor(private readonly say: (i: number) => Partial<Answer>) {}

  async ask(questions: readonly Question[], { onAnswer }: AskOptions): Promise<void> {
    this.asked.push(...questions)
    const blank = { text: '', promptTokens: 7, completionTokens: 3, seconds: 1, finishReason: 'stop' }
    for (const [i, { id }] of questions.entries()) onAnswer({ ...blank, ...this.say(i), id })
  }
}

/** A value that the ground truth allows: the first that is not the mark of an optional argument. */
const chosen = (alternatives: readonly PyValue[]): PyValue => alternatives.find((value) => value !== '') ?? ''

/** Dicts in the truth hold alternatives by key. */
function concrete(value: PyValue): PyValue {
  if (Array.isArray(value)) return value.map(concrete)
  if (!(value instanceof Map)) return value
  return new Map(
    [...value].map(([key, alternatives]) => [key, Array.isArray(alternatives) ? chosen(alternatives) : '']),
  )
}

const calls = ({ truth, schemas }: BfclQuestion) =>
  truth.map(({ name, arguments: args }) => {
    const required = schemas.find((schema) => schema.name === name)?.required ?? []
    const given = [...args].filter(([key, alternatives]) => required.includes(key) || !alternatives.includes(''))
    return { name, args: given.map(([key, values]): [string, PyValue] => [key, concrete(chosen(values))]) }
  })

function rightAnswer(question: BfclQuestion, handler: Handler): string {
  if (question.category === 'live_relevance')
    return handler === 'prompt' ? '[f()]' : json([{ name: 'f', args: [] }], handler)
  if (isRelevance(question.category)) return 'No function helps.'
  if (handler !== 'prompt') return json(calls(question), handler)
  const text = calls(question).map(
    ({ name, args }) => `${name}(${args.map(([k, v]) => `${k}=${pyRepr(v)}`).join(', ')})`,
  )
  return `[${text.join(', ')}]`
}

function json(list: { name: string; args: [string, PyValue][] }[], handler: Handler): string {
  const objects = list.map(({ name, args }) =>
    printJson(
      new Map([
        ['name', name],
        ['arguments', toJson(new Map(args))],
      ] as const) as never,
    ),
  )
  if (handler === 'tool-n1-no-reason') return `<tool_call>[${objects.join(', ')}]</tool_call>`
  if (handler === 'tool-n1') return `<think>hm</think> <tool_call>[${objects.join(', ')}]</tool_call>`
  return objects.map((object) => `<tool_call>\n${object}\n</tool_call>`).join('\n')
}

const python = categories.filter((category) => !category.startsWith('simple_java'))
const load = (version: BfclVersion, wanted = python): Promise<BfclDataset> =>
  loadBfcl(fixtureData, { version, categories: wanted })
const listOf = ({ questions }: BfclDataset) => [...questions.values()].flat()

for (const handler of handlers) {
  for (const version of ['v3', 'v4'] as const) {
    test(`right answers in the form of ${handler} are right in ${version}`, async () => {
      const dataset = await load(version)
      const list = listOf(dataset)
      const asker = new Scripted((i) => ({ text: rightAnswer(list[i]!, handler) }))
      const report = await evaluateBfcl(asker, dataset, { handler })
      const wrong = failuresOf(report).map(({ id, reasons }) => `${id}: ${reasons}`)
      assert.equal(wrong, [])
      assert.is(asker.asked.length, list.length)
    })
  }
}

test('nothing said is right for irrelevance alone, under every form', async () => {
  const dataset = await load('v4', [...categories])
  for (const handler of handlers) {
    const report = await evaluateBfcl(new Scripted(() => ({ text: 'Sorry.' })), dataset, { handler })
    for (const [name, { correct, total }] of report.counts) {
      assert.is(correct, name.endsWith('irrelevance') ? total : 0, `${handler} ${name}`)
    }
  }
})

async function evaluated(say: (question: BfclQuestion) => Partial<Answer>, settings: Partial<BenchmarkSettings> = {}) {
  const dataset = await load('v4', ['multiple'])
  const list = listOf(dataset)
  const asker = new Scripted((i) => say(list[i]!))
  return { asker, list, report: await evaluateBfcl(asker, dataset, { handler: 'qwen-fc', ...settings }) }
}

test('without reasoning a question is asked as training asks, and Tool-N1’s form is read', async () => {
  const asked = async (handler: Handler) => {
    const { asker, list } = await evaluated(() => ({ text: '' }), { handler })
    return { ...asker.asked[0]!, question: list[0]! }
  }
  const [silent, thinking] = [await asked('tool-n1-no-reason'), await asked('tool-n1')]
  const docs = promptDocs(silent.question.functions, silent.question.category)
  assert.is(silent.messages[0]?.content, systemOf('tool-n1-no-reason', docs))
  assert.not.match(promptText(silent.prompt!), '<think>')
  assert.match(promptText(thinking.prompt!), '<think>')
  assert.equal(silent.messages.slice(1), thinking.messages.slice(1))
})

test("an endpoint's own calls are judged, with names and types as it was given them", async () => {
  const say = (question: BfclQuestion) => ({
    calls: calls(question).map(({ name, args }) => ({
      name: name.replaceAll('.', '_'),
      arguments: printJson(toJson(new Map(args))),
    })),
  })
  const { asker, report } = await evaluated(say, { native: true })
  assert.equal(failuresOf(report), [])
  const tools = asker.asked.flatMap(({ tools = [] }) => tools)
  assert.ok(
    tools.every(
      ({ function: { name, parameters } }) =>
        /^[\w-]+$/.test(name) && (parameters as { type: string }).type === 'object',
    ),
  )
  const broken = await evaluated(() => ({ calls: [{ name: 'f', arguments: '{' }] }), { native: true })
  assert.ok(failuresOf(broken.report).every(({ errorType }) => errorType === 'ast_decoder:decoder_failed'))
})

test('a thought before the calls is taken off; Tool-N1 reads its own', async () => {
  const { report } = await evaluated((question) => ({
    text: `<think>\n<tool_call>\n{"name": "x", "arguments": {}}\n</tool_call>\n</think>\n\n${rightAnswer(question, 'qwen-fc')}`,
  }))
  assert.equal(failuresOf(report), [])
})

test('questions that could not be asked count as wrong, also where silence is right', async () => {
  const dataset = await load('v4', ['irrelevance'])
  const report = await evaluateBfcl(new Scripted(() => ({ error: 'too long' })), dataset, { handler: 'prompt' })
  assert.is(report.counts.get('irrelevance')!.correct, 0)
  assert.ok(report.unasked.length > 0)
})

test('limit takes the first of each category', async () => {
  const report = await evaluateBfcl(new Scripted(() => ({})), await load('v4'), { handler: 'prompt', limit: 1 })
  assert.ok([...report.counts.values()].every(({ total }) => total === 1))
})

test('files lie and read as the official tool writes them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'callgrad-bfcl-files-'))
  try {
    const dataset = await load('v4', ['multiple', 'live_irrelevance'])
    const list = listOf(dataset)
    const say = (i: number) => ({
      text:
        list[i]!.category === 'multiple' && i > 0
          ? rightAnswer(list[i]!, 'tool-n1')
          : '<tool_call>[{"name": "a", "arguments": {"x": 1.0}}]</tool_call>',
    })
    const report = await evaluateBfcl(new Scripted(say), dataset, { handler: 'tool-n1' })
    writeBfclFiles(folder, report)
    const read = (path: string) => readFileSync(join(folder, path), 'utf8')
    const result = read('result/scripted_model/non_live/BFCL_v4_multiple_result.json').trimEnd().split('\n')
    assert.is(result.length, dataset.questions.get('multiple')!.length)
    assert.is(
      result[0],
      `{"id": "${list[0]!.id}", "result": [{"name": "a", "arguments": {"x": 1.0}}], "input_token_count": 7, "output_token_count": 3, "latency": 1}`,
    )
    const score = read('score/scripted_model/non_live/BFCL_v4_multiple_score.json').trimEnd().split('\n')
    const [summary, failure] = score.map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.equal(Object.keys(summary!), ['accuracy', 'correct_count', 'total_count'])
    assert.is(score.length, 2, 'one failure')
    const keys =
      'id model_name test_category valid error error_type prompt model_result_raw model_result_decoded possible_answer'
    assert.equal(Object.keys(failure!), keys.split(' '))
    assert.equal(Object.keys(failure!.prompt as object), ['id', 'question', 'function'])
    const relevance = read('score/scripted_model/live/BFCL_v4_live_irrelevance_score.json').trimEnd().split('\n')
    assert.is((JSON.parse(relevance[1]!) as { error_type: string }).error_type, 'irrelevance_error:decoder_success')
    const [header, row, ...more] = read('score/data_overall.csv').split('\n')
    assert.is(header!.split(',').length, row!.split(',').length)
    assert.match(header!, /^Rank,Overall Acc,Model,Model Link,/)
    assert.equal(more, [])
    for (const table of ['non_live', 'live', 'multi_turn', 'agentic'])
      assert.ok(existsSync(join(folder, `score/data_${table}.csv`)))
    const v3 = await evaluateBfcl(new Scripted(() => ({})), await load('v3', ['simple_python']), { handler: 'prompt' })
    writeBfclFiles(folder, v3)
    assert.ok(existsSync(join(folder, 'result/scripted_model/BFCL_v3_simple_result.json')))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('nothing that a model or a file says becomes markup on the page of failures', async () => {
  const { report } = await evaluated(() => ({ text: '</pre><script>alert(1)</script><img src=x onerror=y>' }))
  const html = failuresPage({ title: '<b>', summary: ['a & b'], failures: failuresOf(report) })
  assert.is(html.match(/<script/g)?.length, 1)
  assert.not.match(html, /<img|<b>BFCL/)
  assert.match(html, /&lt;img src=x onerror=y&gt;/)
  assert.match(html, /Expected<\/h3><pre>\{/)
})

test('missing categories are N/A in their cells and 0 in the sums; the paper knows none', () => {
  const counts = new Map([['live_simple', { correct: 129, total: 258 }]])
  const v4 = aggregate(counts, 'v4')
  assert.is(v4.data_live!['Python Simple AST'], '50.00%')
  assert.is(v4.data_live!['Python Multiple AST'], 'N/A')
  assert.is(v4.data_live!['AST Summary'], 'N/A')
  assert.is(v4.data_live!['Live Overall Acc'], '9.55%') // 129 of 1351
  assert.is(aggregate(counts, 'v3').data_live!['Live Overall Acc'], '5.73%') // 129 of 2251
  const paper = paperScores(counts, 'v3')
  assert.equal([paper.liveSimple, paper.live, paper.overall, paper.nonLiveSimple], [0.5, null, null, null])
})

test('percentages break exact ties to even, as Python prints them', () => {
  const cells = [0.36125, 0.36375, 0.00125, 0.00375, 0.5, 1, 2 / 3].map(percentCell)
  assert.equal(cells, ['36.12%', '36.38%', '0.12%', '0.38%', '50.00%', '100.00%', '66.67%'])
})

test("tables have the paper's rows beside ours", async () => {
  const { report } = await evaluated((question) => ({ text: rightAnswer(question, 'qwen-fc') }))
  const { header, rows } = paperTable(report)
  assert.is(rows.length, 14)
  assert.ok(rows.every((row) => row.length === header.length))
  assert.equal(rows.at(-2)!.slice(0, 3), ['Tool-N1-14B', '80.58', '96.00'])
  assert.equal(rows.at(-1)!.slice(0, 3), ['scripted/model', '–', '100.00'])
  const table = categoryTable(report).rows
  assert.is(table[0]![0], 'multiple')
  assert.match(table[0]![2]!, /\(of 200\)/)
})

test.run()
