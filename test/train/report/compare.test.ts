import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loadAceBench } from '../../../lib/eval/acebench/dataset.js'
import type { JudgedQuestion } from '../../../lib/eval/results/types.js'
import { dataSetsOf } from '../../../lib/train/report/datasets.js'
import { differenceData } from '../../../lib/train/report/difference.js'
import { findInputs } from '../../../lib/train/report/find.js'
import { distinctNames, settingName, withoutSeed } from '../../../lib/train/report/names.js'
import { overlayCharts, overSeeds } from '../../../lib/train/report/overlay.js'
import type { Run } from '../../../lib/train/report/read.js'
import { groupSettings, sameSetting } from '../../../lib/train/report/settings.js'
import { addTexts } from '../../../lib/train/report/texts.js'
import { writeComparison } from '../../../lib/train/report.js'
import { fixtureData } from '../../eval/bfcl/support.js'
import { repositoryRoot } from '../../support/shared.js'
import { answerLines, metricLines, writeStudy } from './study.js'

const test = suite<{ folder: string }>('report of several runs')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-compare-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const run = (name: string, config: Record<string, unknown>, metrics: Run['metrics'] = []): Run => ({
  ...{ name, path: `/runs/${name}`, config, metrics },
  ...{ completions: [], evaluations: [], questions: [], stages: [] },
})

test('names are what tells paths apart', () => {
  assert.equal(distinctNames(['/r/study/a/dev.jsonl', '/r/study/b/dev.jsonl']), ['a', 'b'])
  assert.equal(distinctNames(['/r/bfcl/a', '/r/bfcl/b']), ['a', 'b'])
  assert.equal(distinctNames(['/r/a/bfcl', '/r/b/x/bfcl']), ['a', 'b/x'])
  assert.equal(distinctNames(['/r/a', '/r/a/again']), ['a', 'a/again'])
  assert.equal(distinctNames(['/r/base/bfcl']), ['base'])
  assert.equal(distinctNames(['/r/a', '/r/a']), ['a', 'a'])
  assert.equal(distinctNames([]), [])
})

test('a seed is taken out of a name, other numbers are not', () => {
  for (const [name, seed, rest] of [
    ['rl-v0-0', 0, 'rl-v0'],
    ['rl-v0-s1', 1, 'rl-v0'],
    ['seed-2/grpo', 2, 'grpo'],
    ['sft-50-0', 0, 'sft-50'],
    ['sft-100', 0, 'sft-100'],
    ['runs1', 1, 'runs'],
    ['7', 7, '7'],
  ] as const) {
    assert.is(withoutSeed(name, seed), rest)
  }
  const members = [
    { name: 'one', seed: 0 },
    { name: 'two', seed: 1 },
  ]
  assert.is(settingName(members), 'one + two')
})

test('runs are one setting where the seed is all that differs, in paths too', () => {
  const config = (seed: number, more: object = {}) => ({
    ...{ seed, name: `rl-${seed}`, outputDir: `runs/rl-${seed}`, model: `runs/sft.1-${seed}`, learningRate: 1e-5 },
    ...{ dataset: { path: `solvable-${seed}.jsonl`, seed, limit: 50 }, ...more },
  })
  const same = (a: Record<string, unknown>, b: Record<string, unknown>) => sameSetting(run('a', a), run('b', b))
  assert.ok(same(config(0), config(1)))
  assert.ok(same(config(1), config(7)))
  assert.not.ok(same(config(0), config(0)), 'one seed twice')
  assert.not.ok(same(config(0), config(1, { learningRate: 2e-5 })))
  assert.not.ok(same(config(0), config(1, { model: 'runs/sft.2-1' })))
  assert.not.ok(same(config(50), config(51, { dataset: { path: 'solvable-51.jsonl', seed: 51, limit: 51 } })))
  assert.not.ok(same({ learningRate: 1 }, { learningRate: 1 }), 'without seeds nobody knows')
  const names = groupSettings(
    [0, 1, 2].map((seed) => run(`rl-${seed}`, config(seed, seed === 2 ? { beta: 1 } : {}))),
    sameSetting,
    (members) => members.map(({ name }) => name).join('+'),
  )
  assert.equal(
    names.map(({ name }) => name),
    ['rl-0+rl-1', 'rl-2'],
  )
})

test("the mean over seeds has Student's interval where all seeds have the step", () => {
  const { mean, low, high } = overSeeds([
    [1, 2, null, 4],
    [3, 2, 5, null],
  ])
  assert.equal(mean, [2, 2, null, null])
  // two values 1 and 3: deviation sqrt 2, over sqrt 2, times t with one degree of freedom
  assert.ok(Math.abs(high[0]! - (2 + 12.7062)) < 1e-9 && Math.abs(low[0]! - (2 - 12.7062)) < 1e-9)
  assert.equal([low[1], high[1], low[2]], [2, 2, null])
  assert.equal(overSeeds([[0.5], [1]], [0, 1]).high, [1])
})

test('a setting with seeds is a bold line, an area that moves no axis, and a faint line a seed', () => {
  const members = [0, 1].map((seed) => run(`rl-${seed}`, { seed }, metricLines(seed, 10)))
  const other = run('sft', {}, metricLines(5, 20))
  const { paper } = overlayCharts([
    { name: 'rl', members },
    { name: 'sft', members: [other] },
  ])
  const kl = paper.find(({ id }) => id === 'kl')!
  assert.equal(
    kl.series.map(({ label, kind, of, loose }) => [label, kind, of, loose]),
    [
      ['rl (mean of 2 seeds)', 'line', undefined, undefined],
      ['95 %', 'area', 0, true],
      ['rl-0', 'faint', 0, undefined],
      ['rl-1', 'faint', 0, undefined],
      ['sft', 'line', undefined, undefined],
    ],
  )
  assert.is(kl.x.length, 20)
  assert.is(kl.series[0]!.values[10], null)
  assert.ok(['length', 'shortest', 'reward', 'heldout'].every((id) => paper.some((chart) => chart.id === id)))
  const held = paper.find(({ id }) => id === 'heldout')!
  assert.ok(held.series.some(({ label, low }) => label === '95 %' && low!.some((v) => v !== null)))
})

test('runs and results are found below one folder, each once, and belong together', async ({ folder }) => {
  const study = await writeStudy(folder)
  const inputs = await findInputs([study, join(study, 'base')])
  assert.equal(
    inputs.runs.map(({ path }) => path.slice(study.length + 1)),
    ['rl-s0/run', 'rl-s1/run'],
  )
  const [bfcl, questions, ...more] = dataSetsOf(inputs).sort((a, b) => (a.benchmark < b.benchmark ? -1 : 1))
  assert.equal(more, [])
  assert.equal(bfcl!.title, 'BFCL v4')
  for (const data of [bfcl!, questions!]) {
    assert.equal(
      data.models.map(({ name, seed }) => [name, seed]),
      [
        ['base', undefined],
        ['rl-s0', 0],
        ['rl-s1', 1],
      ],
    )
    assert.equal(
      data.settings.map(({ name, members }) => [name, members.length]),
      [
        ['base', 1],
        ['rl', 2],
      ],
    )
  }
})

test('results kept apart from the runs belong to the run of their name', async ({ folder }) => {
  for (const seed of [0, 1]) {
    const own = join(folder, 'runs', `rl-50-${seed}`)
    mkdirSync(own, { recursive: true })
    writeFileSync(join(own, 'config.json'), JSON.stringify({ seed, model: 'm' }))
    writeFileSync(join(own, 'metrics.jsonl'), '{"step": 1, "kl": 0.1}\n')
    mkdirSync(join(folder, 'answers'), { recursive: true })
    writeFileSync(join(folder, 'answers', `rl-50-${seed}.jsonl`), `${answerLines(8, seed + 2).join('\n')}\n`)
  }
  const { runs, results } = await findInputs([folder])
  const names = distinctNames(runs.map(({ path }) => path))
  const [data] = dataSetsOf({ runs: runs.map((one, i) => ({ ...one, name: names[i]! })), results })
  assert.equal(
    data!.settings.map(({ name, members }) => [name, members.map(({ seed }) => seed)]),
    [['rl-50', [0, 1]]],
  )
})

test('questions are one data set where they share ids', async ({ folder }) => {
  const write = (name: string, lines: string[]) => {
    writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
    return join(folder, name)
  }
  const own = answerLines(40, 2)
  const files = [
    write('a.jsonl', own),
    write('b.jsonl', own.slice(0, 10)),
    write('c.jsonl', answerLines(40, 3, 'other')),
  ]
  const sets = dataSetsOf(await findInputs(files))
  assert.equal(
    sets.map(({ title, models }) => [title, models.map(({ name }) => name)]),
    [
      ['Questions, set 1', ['a', 'b']],
      ['Questions, set 2', ['c']],
    ],
  )
  const { sets: compared } = differenceData(sets)
  assert.is(compared.length, 1)
  assert.equal(
    compared[0]!.right.map((column) => column.filter((right) => right !== null).length),
    [40, 10],
  )
})

test('long answers are cut so that the page stays a page', async ({ folder }) => {
  const file = (name: string) => {
    writeFileSync(join(folder, name), `${answerLines(3, 2, 'q', 'x'.repeat(9000)).join('\n')}\n`)
    return join(folder, name)
  }
  const { sets, limit } = differenceData(dataSetsOf(await findInputs([file('a.jsonl'), file('b.jsonl')])))
  assert.is(limit, 4000)
  assert.match(sets[0]!.answers[0]![0]!, /^x{4000} … \(5\d\d\d characters more\)$/)
})

test('the data that was asked tells the questions and right answers that results lack', async ({ folder }) => {
  const study = await writeStudy(folder)
  const record = (i: number) => ({
    id: `simple_${i}`,
    query: `Question ${i}?`,
    tools: '[]',
    answers: `[{"name":"f","arguments":{"n":${i}.0}}]`,
  })
  writeFileSync(join(folder, 'dev.jsonl'), [0, 1, 2].map((i) => `${JSON.stringify(record(i))}\n`).join(''))
  const inputs = await findInputs([study])
  const all = inputs.results.filter(({ benchmark }) => benchmark === 'bfcl').flatMap(({ questions }) => questions)
  assert.ok(all.some(({ question }) => question === undefined))
  await addTexts(inputs.results, [fixtureData, join(folder, 'dev.jsonl')])
  assert.ok(all.every(({ question }) => question))
  assert.ok(all.filter(({ category }) => category === 'multiple').every(({ expected }) => expected))
  const [own] = inputs.results.filter(({ benchmark }) => benchmark === 'questions')
  assert.equal([own!.questions[2]!.question, own!.questions[3]!.question], ['Question 2?', undefined])
  assert.match(own!.questions[2]!.expected!, '2.0')
  const { sets } = differenceData(dataSetsOf(inputs))
  assert.is(sets.find(({ title }) => title === 'Questions (dev)')!.questions[1]!.text, 'Question 1?')
  writeFileSync(join(folder, 'other.jsonl'), `${JSON.stringify({ ...record(1), id: 'else' })}\n`)
  for (const wrong of ['other.jsonl', 'study/base']) {
    const error = await addTexts(inputs.results, [join(folder, wrong)]).then(
      () => null,
      (e: Error & { code?: string }) => e,
    )
    assert.is(error?.code, 'ERR_DATA', wrong)
  }
})

test("ACEBench's questions come from its data", async () => {
  const data = join(repositoryRoot, 'test/fixtures/acebench')
  const { questions } = await loadAceBench(data, { version: 'head', categories: ['normal_atom_bool'] })
  const judged = questions
    .get('normal_atom_bool')!
    .map(({ id, category }) => ({ id, category, right: true, answer: 'x' }))
  const set = {
    benchmark: 'acebench' as const,
    model: 'm',
    path: 'p',
    questions: judged as JudgedQuestion[],
    problems: [],
  }
  await addTexts([set], [data])
  assert.ok(set.questions.every(({ question, expected }) => question && expected))
})

test('what is no run and no result is refused by name', async ({ folder }) => {
  mkdirSync(join(folder, 'empty'))
  for (const wrong of ['empty', 'missing']) {
    const error = await writeComparison([join(folder, wrong)]).then(
      () => null,
      (e: Error & { code?: string }) => e,
    )
    assert.is(error?.code, 'ERR_IO')
    assert.match(error!.message, wrong)
  }
})

test('a comparison tells what it is made of, and keeps to its policy', async ({ folder }) => {
  const study = await writeStudy(folder)
  const summary = await writeComparison([study], { target: join(folder, 'c.html') })
  assert.equal(summary.runs, ['rl-s0', 'rl-s1'])
  assert.is(summary.evaluations.length, 6)
  assert.equal(summary.problems, [])
  const page = readFileSync(summary.report, 'utf8')
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!
  assert.is([...policy.matchAll(/sha256-/g)].length, 3)
  for (const text of ['Tool-N1-14B', '85.97', 'rl, mean of 2 seeds', '95 %']) assert.match(page, text)
})

test.run()
