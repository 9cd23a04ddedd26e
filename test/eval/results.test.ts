import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loadAceBench } from '../../lib/eval/acebench/dataset.js'
import { evaluateAceBench } from '../../lib/eval/acebench/evaluate.js'
import { writeAceFiles } from '../../lib/eval/acebench/files.js'
import * as aceSummary from '../../lib/eval/acebench/summary.js'
import { loadApiBank } from '../../lib/eval/apibank/dataset.js'
import { evaluateApiBank } from '../../lib/eval/apibank/evaluate.js'
import { writeApiBankFiles } from '../../lib/eval/apibank/files.js'
import * as apiSummary from '../../lib/eval/apibank/summary.js'
import { categories } from '../../lib/eval/bfcl/categories.js'
import { loadBfcl } from '../../lib/eval/bfcl/dataset.js'
import { evaluateBfcl } from '../../lib/eval/bfcl/evaluate.js'
import { writeBfclFiles } from '../../lib/eval/bfcl/files.js'
import * as bfclSummary from '../../lib/eval/bfcl/summary.js'
import { readResults } from '../../lib/eval/results/read.js'
import { paperTableOf, paperValues } from '../../lib/eval/results/tables.js'
import type { ResultSet } from '../../lib/eval/results/types.js'
import { repositoryRoot } from '../support/shared.js'
import { fixtureData } from './bfcl/support.js'
import { FakeAsker } from './fake-asker.js'

const test = suite<{ folder: string }>('results')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-results-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const verdicts = (judged: Iterable<readonly [string, boolean]>) => Object.fromEntries(judged)
const readBack = ({ questions }: ResultSet) => verdicts(questions.map(({ id, right }) => [id, right]))

/** The last row of a printed table as the numbers that it shows. */
const printed = ({ rows }: { rows: string[][] }) => rows.at(-1)!.slice(1)
const shares = (values: readonly (number | null)[]) => values.map((v) => (v === null ? '–' : (100 * v).toFixed(2)))

test("BFCL's verdicts, answers and figures come back from its files", async ({ folder }) => {
  for (const version of ['v3', 'v4'] as const) {
    const dataset = await loadBfcl(fixtureData, { version, categories })
    const asker = new FakeAsker(({ id }) => ({
      text: /1$/.test(id) ? '<think>Hm</think>[f(a="</script>")]' : 'No function helps.',
    }))
    const report = await evaluateBfcl(asker, dataset, { handler: 'prompt' })
    const target = join(folder, version)
    writeBfclFiles(target, report)
    const [set, ...more] = readResults(target)
    assert.equal(more, [])
    assert.equal([set!.benchmark, set!.version, set!.model, set!.problems], ['bfcl', version, 'lab_fake', []])
    const judged = [...report.judged.values()].flat()
    assert.equal(readBack(set!), verdicts(judged.map(({ question, verdict }) => [question.id, verdict.valid])))
    assert.ok(set!.questions.some(({ right }) => right) && set!.questions.some(({ right }) => !right))
    assert.equal(shares(paperValues(set!)), printed(bfclSummary.paperTable(report)))
    const failed = set!.questions.find(({ id, right }) => /1$/.test(id) && !right)!
    assert.is(failed.answer, '<think>Hm</think>\n[f(a="</script>")]')
    assert.ok(failed.question && failed.why, 'a failure says what was asked and what was wrong')
    assert.is(
      set!.questions
        .filter(({ right, expected }) => !right && !expected)
        .every(({ category }) => /relevance/.test(category)),
      true,
    )
  }
})

test("ACEBench's verdicts and figures come back, dialogues counted whole", async ({ folder }) => {
  const dataset = await loadAceBench(join(repositoryRoot, 'test/fixtures/acebench'), { version: 'head' })
  const asker = new FakeAsker(({ id }) => ({
    text: /irrelevant/.test(id) ? 'Due to the limitations of the function, I cannot.' : '[f(a=1)]',
  }))
  const report = await evaluateAceBench(asker, dataset, { handler: 'prompt' })
  writeAceFiles(folder, report)
  const [set, ...more] = readResults(folder)
  assert.equal([more, set!.problems], [[], []])
  const judged = [...report.judged.values()].flat()
  assert.equal(readBack(set!), verdicts(judged.map(({ question, verdicts: by }) => [question.id, by.head.valid])))
  assert.ok(set!.questions.some(({ right }) => right))
  assert.equal(shares(paperValues(set!)), printed(aceSummary.paperTable(report)))
})

test("API-Bank's verdicts by both rules come back", async ({ folder }) => {
  const dataset = await loadApiBank(join(repositoryRoot, 'test/fixtures/apibank'))
  const questions = [...dataset.questions.values()].flat()
  const expected = new Map(questions.map((question) => [question.id, question.expected]))
  let asked = 0
  const asker = new FakeAsker(({ id }) => ({ text: asked++ % 3 ? `API-Request: ${expected.get(id)}` : 'Hm.' }))
  const report = await evaluateApiBank(asker, dataset, { handler: 'prompt' })
  writeApiBankFiles(folder, report)
  const [set] = readResults(folder)
  const judged = [...report.judged.values()].flat()
  assert.equal(readBack(set!), verdicts(judged.map(({ question, portable }) => [question.id, portable])))
  assert.equal(
    verdicts(set!.questions.map(({ id, official }) => [id, official === true])),
    verdicts(judged.map(({ question, official }) => [question.id, official.valid])),
  )
  assert.equal(shares(paperValues(set!)).slice(1), printed(apiSummary.paperTable(report)).slice(1))
  assert.ok(set!.questions.every(({ question }) => question))
})

test('integers that no reader holds come back as text; a line that cannot be read is not told as a wrong count', async ({
  folder,
}) => {
  const dataset = await loadBfcl(fixtureData, { version: 'v4', categories: ['simple_python'] })
  const asker = new FakeAsker(() => ({ text: '[f(a=10**5000, b=[10**4300], c=10**4299)]' }))
  const report = await evaluateBfcl(asker, dataset, { handler: 'prompt' })
  writeBfclFiles(folder, report)
  const [set] = readResults(folder)
  assert.equal(set!.problems, [])
  assert.is(set!.questions.length, dataset.questions.get('simple_python')!.length)
  const file = (kind: string) => join(folder, kind, 'lab_fake/non_live', `BFCL_v4_simple_python_${kind}.json`)
  const decoded = readFileSync(file('score'), 'utf8').split('\n')[1]!
  const short = decoded.replaceAll(/0{20,}/g, (zeros) => `0{${zeros.length}}`)
  assert.match(short, '[{"f": {"a": "10{5000}", "b": ["10{4300}"], "c": 10{4299}}}]')
  for (const kind of ['score', 'result']) {
    writeBfclFiles(folder, report)
    appendFileSync(file(kind), '{"id": "half\n')
    const [broken] = readResults(folder)
    assert.equal(broken!.questions, [])
    const [first, second, ...more] = broken!.problems
    assert.match(first!.reason, 'json')
    assert.is(second!.reason, 'a line could not be read: its category is left out')
    assert.equal([first!.file, second!.file, more], [file(kind), file(kind), []])
  }
})

const answer = (id: string, exact: boolean, more: object = {}) =>
  JSON.stringify({
    id,
    completion: `<tool_call>${id}`,
    tokens: 12,
    finishReason: 'stop',
    exact,
    explain: exact ? '' : 'wrong name',
    ...more,
  })

test('answers of callgrad eval come back; broken lines are told, samples of one question kept apart', ({ folder }) => {
  const file = join(folder, 'dev.jsonl')
  const cut = answer('simple_2', false, { finishReason: 'length' })
  writeFileSync(
    file,
    `${[answer('simple_1', true), answer('simple_1', false), cut, '{"id": "x"}', '[1]', '{"id":"to'].join('\n')}`,
  )
  const [set] = readResults(file)
  assert.equal(
    set!.questions.map(({ id, right, category, why, cut: ended }) => [id, right, category, why, ended]),
    [
      ['simple_1', true, 'simple', undefined, false],
      ['simple_1 (sample 2)', false, 'simple', 'wrong name', false],
      ['simple_2', false, 'simple', 'wrong name', true],
    ],
  )
  assert.equal(set!.problems.map(({ line }) => line).sort(), [4, 5, 6])
})

test('what is no result is none, and scores of other answers are not used', async ({ folder }) => {
  const other = join(folder, 'other.jsonl')
  for (const line of ['{"step":1,"completion":"x"}', '{"id":"a","prompt":"p","completion":"c"}', '', 'no JSON']) {
    writeFileSync(other, `${line}\n`)
    assert.equal(readResults(other), [], line)
  }
  writeFileSync(other, `${answer('long', true, { completion: 'x'.repeat(1e5) })}\n`)
  assert.is(readResults(other)[0]!.questions.length, 1)
  writeFileSync(other, '[]')
  assert.equal([readResults(other), readResults(folder), readResults(join(folder, 'missing'))], [[], [], []])
  const result = join(folder, 'result/m/BFCL_v3_multiple_result.json')
  const score = join(folder, 'score/m/BFCL_v3_multiple_score.json')
  for (const kind of ['result', 'score']) mkdirSync(join(folder, kind, 'm'), { recursive: true })
  writeFileSync(result, '{"id": "multiple_0", "result": "x"}\n')
  assert.equal(readResults(folder)[0]!.questions, [], 'no scores')
  writeFileSync(score, '{"accuracy": 1.0, "correct_count": 1, "total_count": 1}\n')
  assert.equal(
    readResults(folder)[0]!.questions.map(({ right }) => right),
    [true],
  )
  appendFileSync(result, '{"id": "multiple_1", "result": "y"}\n')
  const [stale] = readResults(folder)
  assert.equal(stale!.questions, [])
  assert.match(stale!.problems[0]!.reason, 'expected the scores of 2 answers, got 1')
})

test("an official tool's folder: several models, calls as lists, categories beyond single turns", ({ folder }) => {
  for (const model of ['a', 'b']) {
    for (const kind of ['result', 'score']) mkdirSync(join(folder, kind, model, 'non_live'), { recursive: true })
    const file = (kind: string, name: string) => join(folder, kind, model, 'non_live', `BFCL_v4_${name}_${kind}.json`)
    writeFileSync(
      file('result', 'multiple'),
      `{"id": "multiple_0", "result": [{"f": "{\\"n\\": 5.0}"}], "latency": NaN}\n`,
    )
    writeFileSync(file('score', 'multiple'), '{"accuracy": 1.0, "correct_count": 1, "total_count": 1}\n')
    writeFileSync(file('result', 'multi_turn_base'), '{"id": "multi_turn_base_0", "result": []}\n')
  }
  const sets = readResults(folder)
  assert.equal(
    sets.map(({ model, problems }) => [model, problems]),
    [
      ['a', []],
      ['b', []],
    ],
  )
  assert.equal(
    sets[0]!.questions.map(({ answer: text }) => text),
    ['{"f": "{\\"n\\": 5.0}"}'],
  )
})

test("the paper's rows have a value or a dash under each column", () => {
  for (const benchmark of ['bfcl', 'acebench', 'api-bank'] as const) {
    const table = paperTableOf(benchmark)!
    for (const { model, values } of table.rows) assert.is(values.length, table.columns.length, model)
    assert.is(paperValues({ benchmark, model: '', path: '', questions: [], problems: [] }).length, table.columns.length)
  }
  assert.is(paperTableOf('questions'), null)
  assert.is(paperTableOf('bfcl')!.rows.at(-1)!.values.at(-1), 0.8142)
})

test.run()
