import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { orphansOf } from '../../lib/cli/study/alone.js'
import type { PlannedStage } from '../../lib/cli/study/plan.js'
import { settings, tiny } from './support/tiny.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const bin = join(root, 'scripts/callgrad.mjs')

interface Ended {
  code: number | null
  out: string
  err: string
}

function start(args: readonly string[], cwd: string): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [bin, ...args], { cwd, env: { ...process.env, NO_COLOR: '1' } })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
  return { child, ended: new Promise((resolve) => child.on('exit', (code) => resolve({ code, out, err }))) }
}

const run = (args: readonly string[], cwd: string) => start(args, cwd).ended

const tools = JSON.stringify([
  { name: 'rain', description: 'Rain', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
])
const records = (cities: readonly string[]) =>
  cities
    .map((city) => ({
      id: city,
      query: `Rain in ${city}?`,
      tools,
      answers: JSON.stringify([{ name: 'rain', arguments: { city } }]),
    }))
    .map((record) => `${JSON.stringify(record)}\n`)
    .join('')

const studyFile = `
name: tiny
model: model
seeds: [3]
trainedOn: train.jsonl
selections:
  teaching: { config: grpo.yaml, from: warm, minutes: 1 }
trainings:
  warm: { label: Warm start, command: sft, config: sft.yaml, minutes: 1 }
  rl: { label: Reinforced, command: train, config: grpo.yaml, from: warm, on: teaching, note: not theirs, minutes: 1 }
evaluations:
  dev: { data: dev.jsonl, promptFormat: native, maxTokens: 6, minutes: 1 }
  bfcl:
    data: ${JSON.stringify(join(root, 'test/fixtures/bfcl/data/bfcl'))}
    categories: [simple_python, multiple]
    perCategory: 2
    handler: qwen-fc
    maxTokens: 6
    minutes: 1
rounds: [[base, warm, rl]]
claims:
  - { claim: reinforcing helps, better: rl, worse: warm, paper: 2 against 1 }
tables:
  - title: A table
    columns: [overall]
    rows: [{ paper: theirs alone, scores: [1] }, { paper: theirs, scores: [2.5], training: rl }]
`

/** A model of a few thousand weights with a tokenizer, made by the smallest quickstart. */
async function prepare(folder: string): Promise<void> {
  const once = settings('grpo.maxSteps=1', 'grpo.evalSteps=0')
  const made = await run(['quickstart', '--json', '--output', 'q', ...tiny, ...once], folder)
  assert.is(made.code, 0, made.err)
  const [checkpoint] = readdirSync(join(folder, 'q/grpo/checkpoints'))
  cpSync(join(folder, 'q/grpo/checkpoints', checkpoint!), join(folder, 'model'), { recursive: true })
  writeFileSync(join(folder, 'train.jsonl'), records(['Lyon', 'Oslo', 'Rome', 'Bonn', 'Lima', 'Kyiv']))
  writeFileSync(join(folder, 'dev.jsonl'), records(['Bern', 'Riga', 'Bari', 'Nice', 'Cork']))
  writeFileSync(join(folder, 'reward.mjs'), 'export const even = ({ tokens }) => (tokens[0] % 2 === 0 ? 1 : 0)\n')
  const common =
    'dataset: train.jsonl\npromptFormat: native\nmodel: model\ndtype: fp32\nsaveSteps: 1\nsaveTotalLimit: 1\n'
  writeFileSync(join(folder, 'sft.yaml'), `${common}maxSteps: 4\nexamplesPerStep: 2\nlearningRate: 1.0e-3\n`)
  writeFileSync(
    join(folder, 'grpo.yaml'),
    `${common}reward: ./reward.mjs#even\nmaxSteps: 4\npromptsPerStep: 2\nnumGenerations: 4\nmaxCompletionLength: 4\nlearningRate: 1.0e-3\n`,
  )
  writeFileSync(join(folder, 'study.yaml'), studyFile)
}

/** What a finished study left, without clocks. */
function outcome(folder: string): Record<string, string> {
  const made = join(folder, 'runs/tiny')
  const hash = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')
  const found: Record<string, string> = {}
  for (const name of ['warm-s3', 'rl-s3']) {
    found[name] = hash(join(made, name, 'checkpoints/step-000004/model.safetensors'))
  }
  found.selected = readFileSync(join(made, 'teaching-s3.jsonl'), 'utf8')
  for (const name of ['base', 'warm-s3', 'rl-s3']) {
    const at = join(made, 'evaluations', name)
    found[`${name} replies`] = readFileSync(join(at, 'dev.jsonl'), 'utf8')
    for (const what of ['dev', 'bfcl']) {
      const clocks = new Set(['seconds', 'stored', 'machine'])
      const text = readFileSync(join(at, `${what}.json`), 'utf8')
      found[`${name} ${what}`] = JSON.stringify(JSON.parse(text), (key, value) =>
        clocks.has(key) || /Latency/.test(key) ? undefined : value,
      )
    }
  }
  return found
}

/** Keys of stored answers and counts, each of which stands for something that was asked. */
function asked(folder: string): string[] {
  const made = join(folder, 'runs/tiny')
  const stores = ['base', 'warm-s3', 'rl-s3'].flatMap((name) =>
    ['dev.answers', 'bfcl/answers.jsonl'].map((file) => join(made, 'evaluations', name, file)),
  )
  const lines = (file: string) =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  const answers = stores.flatMap((file) => lines(file).map(({ key }: { key: string }) => `${file} ${key}`))
  return [...answers, ...lines(join(made, 'teaching-s3.jsonl.counts')).map(({ id }: { id: string }) => `count ${id}`)]
}

const test = suite<{ folder: string; expected: Record<string, string> }>('study')
test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-study-'))
  await prepare(context.folder)
})
test.after(({ folder }) => rmSync(folder, { recursive: true, force: true }))

test('a study runs to its end, and then has nothing left to do', async (context) => {
  const { folder } = context
  const first = await run(['study', 'study.yaml', '--json'], folder)
  assert.is(first.code, 0, first.err)
  const { stages } = JSON.parse(first.out) as { stages: PlannedStage[] }
  assert.equal(
    stages.map(({ name, share }) => [name, share]),
    [
      ...['base dev', 'warm-s3', 'warm-s3 dev', 'teaching-s3', 'rl-s3', 'rl-s3 dev'],
      ...['base bfcl', 'warm-s3 bfcl', 'rl-s3 bfcl'],
    ].map((name) => [name, 1]),
  )
  context.expected = outcome(folder)
  const again = await run(['study', 'study.yaml'], folder)
  assert.is(again.code, 0, again.err)
  assert.match(again.out, '9 of 9 stages done')
  assert.not.match(again.err, 'callgrad eval')
})

test('killed at random instants and started again, it ends the same and asks nothing twice', async (context) => {
  const { folder, expected } = context
  rmSync(join(folder, 'runs'), { recursive: true })
  let state = 12345
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  let kills = 0
  for (; kills < 8; kills++) {
    const { child, ended } = start(['study', 'study.yaml'], folder)
    const timer = setTimeout(
      () => {
        // Every other time the stage dies with it, as when the machine does; else the stage is left running.
        const left = kills % 2 === 0 ? orphansOf(join(folder, 'runs/tiny')) : []
        child.kill('SIGKILL')
        for (const pid of left) {
          try {
            process.kill(pid, 'SIGKILL')
          } catch {
            // it has ended
          }
        }
      },
      500 + 5000 * random(),
    )
    const { code } = await ended
    clearTimeout(timer)
    if (code === 0) break
  }
  assert.ok(kills >= 2, `${kills} kills`)
  const last = await run(['study', 'study.yaml'], folder)
  assert.is(last.code, 0, last.err)
  assert.equal(outcome(folder), expected)
  const keys = asked(folder)
  assert.is(new Set(keys).size, keys.length)
})

test('a result is not believed that is of other weights, cut off or of another command', async ({ folder }) => {
  const shareOf = async (name: string, ...more: string[]) => {
    const { out, err } = await run(['study', 'study.yaml', '--plan', '--json', ...more], folder)
    assert.is(err, '')
    return (JSON.parse(out) as { stages: PlannedStage[] }).stages.find((stage) => stage.name === name)?.share
  }
  const made = join(folder, 'runs/tiny/evaluations/warm-s3')
  assert.is(await shareOf('warm-s3 dev'), 1)
  assert.is(await shareOf('warm-s3 dev', '--set', 'evaluations.dev.maxTokens=5'), 0)
  const result = readFileSync(join(made, 'dev.json'), 'utf8')
  writeFileSync(join(made, 'dev.json'), result.slice(0, -9))
  assert.is(await shareOf('warm-s3 dev'), 0)
  writeFileSync(join(made, 'dev.json'), result)
  const replies = readFileSync(join(made, 'dev.jsonl'), 'utf8')
  writeFileSync(join(made, 'dev.jsonl'), replies.split('\n').slice(1).join('\n'))
  assert.is(await shareOf('warm-s3 dev'), 0)
  writeFileSync(join(made, 'dev.jsonl'), replies)
  const weights = join(folder, 'runs/tiny/warm-s3/checkpoints/step-000004/model.safetensors')
  const bytes = readFileSync(weights)
  bytes[bytes.length - 1]! ^= 1
  writeFileSync(weights, bytes)
  assert.is(await shareOf('warm-s3 dev'), 0)
  assert.is(await shareOf('warm-s3'), 1)
  bytes[bytes.length - 1]! ^= 1
  writeFileSync(weights, bytes)
  assert.is(await shareOf('warm-s3 dev'), 1)
})

test('a result is not believed of other questions, and an older one that does not say which is', async ({ folder }) => {
  const shareOf = async () => {
    const { out } = await run(['study', 'study.yaml', '--plan', '--json'], folder)
    return (JSON.parse(out) as { stages: PlannedStage[] }).stages.find(({ name }) => name === 'warm-s3 dev')?.share
  }
  const dev = readFileSync(join(folder, 'dev.jsonl'), 'utf8')
  writeFileSync(join(folder, 'dev.jsonl'), dev.replace('Rain in Bern', 'Snow in Bern'))
  assert.is(await shareOf(), 0)
  const file = join(folder, 'runs/tiny/evaluations/warm-s3/dev.json')
  const result = readFileSync(file, 'utf8')
  const older = JSON.parse(result) as { study: { asks?: string } }
  delete older.study.asks
  writeFileSync(file, JSON.stringify(older))
  assert.is(await shareOf(), 1)
  writeFileSync(file, result)
  writeFileSync(join(folder, 'dev.jsonl'), dev)
  assert.is(await shareOf(), 1)
})

test('questions are drawn again where a file of theirs says something else', async ({ folder }) => {
  interface Noted {
    digest?: string
    questions: { bfcl: { counts: Record<string, { trained: number; asked: number }> } }
  }
  const file = join(folder, 'runs/drawn/questions/questions.json')
  const own = join(folder, 'own.jsonl')
  const drawn = async () => {
    const set = ['--set', 'name=drawn', '--set', 'trainedOn=own.jsonl']
    const { code, err } = await run(['study', 'study.yaml', '--plan', '--json', ...set], folder)
    assert.is(code, 0, err)
    return JSON.parse(readFileSync(file, 'utf8')) as Noted
  }
  writeFileSync(own, records(['Lyon']))
  const first = await drawn()
  assert.is(first.questions.bfcl.counts.simple_python!.asked, 2)
  // Older notes have no digest: they are completed, not drawn again.
  const { digest, ...older } = first
  older.questions.bfcl.counts.simple_python!.trained = 77
  writeFileSync(file, JSON.stringify(older))
  assert.equal(await drawn(), { ...older, digest })
  const [question] = readFileSync(join(folder, 'runs/drawn/questions/bfcl/question/BFCL_v4_simple_python.json'), 'utf8')
    .trim()
    .split('\n')
  const { id } = JSON.parse(question!) as { id: string }
  writeFileSync(own, records(['Lyon']).replace('"Lyon"', JSON.stringify(id)))
  const { counts } = (await drawn()).questions.bfcl
  assert.is(counts.simple_python!.trained, 1)
  assert.is(counts.simple_python!.asked, 0)
})

test('runs made elsewhere are taken over by their folders, and said to be unlike where they are', async ({
  folder,
}) => {
  const study = (...set: string[]) =>
    run(['study', 'study.yaml', '--plan', '--json', ...set.flatMap((one) => ['--set', one])], folder)
  const other = 'name=other'
  for (const name of ['warm-s3', 'rl-s3']) {
    cpSync(join(folder, 'runs/tiny', name), join(folder, 'runs/other', name), { recursive: true })
  }
  const { out, err } = await study(other, 'trainings.rl.set=[learningRate=0.002]')
  assert.is(err, '')
  const found = new Map((JSON.parse(out) as { stages: PlannedStage[] }).stages.map((stage) => [stage.name, stage]))
  assert.is(found.get('warm-s3')!.share, 1)
  assert.is(found.get('rl-s3')!.detail, 'step 4 of 4; learningRate 0.001, not 0.002')
  assert.is(found.get('warm-s3')!.detail, 'step 4 of 4')
  assert.is(found.get('teaching-s3')!.detail, 'not needed')
  assert.is(found.get('teaching-s3')!.left, 0)
  assert.is(found.get('rl-s3 dev')!.share, 0)
  assert.is(found.get('rl-s3 dev')!.left, 1)
  // Also in what no config spells out, and in what lies deeper; where files lie and how much memory there is says nothing.
  const rl = 'reward=./reward.mjs#odd, epsilon=0.3, updatesPerGeneration=2, kvMemory=2GB, saveTotalLimit=2'
  const warm = 'dataset.limit=5, promptFormat=tool-n1, tokensPerMicrobatch=999'
  const unlike = await study(other, `trainings.rl.set=[${rl}]`, `trainings.warm.set=[${warm}]`)
  assert.is(unlike.err, '')
  const { stages } = JSON.parse(unlike.out) as { stages: PlannedStage[] }
  const detailOf = (name: string) => stages.find((stage) => stage.name === name)!.detail
  assert.is(
    detailOf('rl-s3'),
    'step 4 of 4; reward.name ./reward.mjs#even, not ./reward.mjs#odd; updatesPerGeneration 1, not 2; epsilon 0.2, not 0.3; epsilonHigh 0.2, not 0.3',
  )
  assert.is(detailOf('warm-s3'), 'step 4 of 4; promptFormat native, not tool-n1; dataset.limit nothing, not 5')
})

test('a selection that leaves no question says how often each was answered', async ({ folder }) => {
  const args = ['data', 'select', 'grpo.yaml', '--set', 'reward=v0', '-o', 'none.jsonl']
  const { code, err } = await run(args, folder)
  assert.is(code, 1)
  assert.match(
    err,
    'expected questions that are answered rightly sometimes, got none; answered rightly 0 to 4 times: 6 0 0 0 0',
  )
  assert.not.ok(existsSync(join(folder, 'none.jsonl')))
  const again = await run([...args, '--set', 'seed=9'], folder)
  assert.is(again.code, 1)
  assert.is(readFileSync(join(folder, 'none.jsonl.counts'), 'utf8').trim().split('\n').length, 12)
})

const pageText = 'By hand.\n<!-- study tiny -->\nold\n<!-- end of study tiny -->\nBy hand, too.\n'

test('the page holds what was measured, between its markers, twice the same', async ({ folder }) => {
  writeFileSync(join(folder, 'page.md'), pageText)
  const written = await run(['study', 'study.yaml', '--results', 'page.md'], folder)
  assert.is(written.code, 0, written.err)
  const page = readFileSync(join(folder, 'page.md'), 'utf8')
  assert.match(page, /^By hand\.\n<!-- study tiny -->\n/)
  assert.match(page, /<!-- end of study tiny -->\nBy hand, too\.\n$/)
  assert.not.match(page, /^old$/m)
  assert.not.match(page, 'not run yet |')
  assert.match(page, '| Reinforced | seed 3 | 0.0 % (0.0 to 43.4) | 0.0 % | 0.0 % | 6 | 100.0 % |')
  assert.match(page, '| theirs | 2.50 | 0.0 % (0.0 to 43.4) | 0.0 % (0.0 to 49.0) |')
  assert.match(page, '| theirs alone | 1.00 | – | – |')
  assert.match(page, '| +0.0 (+0.0 to +0.0), 1 seed | +0.0 (+0.0 to +0.0), 1 seed | **cannot tell** |')
  assert.match(page, 'simple_python 2 of')
  const kept = readFileSync(join(folder, 'runs/tiny/teaching-s3.jsonl'), 'utf8').trim().split('\n').length
  const facts = [
    '| Warm start | Instruct model, untrained | 6 records of train.jsonl | none: replies of the records, thoughts by a template | 4 of 2 records | 1e-3, linear |  |',
    `| Reinforced | Warm start | ${kept} (seed 3) of the questions of train.jsonl: those that “Warm start” answers rightly sometimes | even (./reward.mjs#even) | 4 of 2 questions with 4 replies each | 1e-3, linear, beta 0 | not theirs |`,
  ]
  for (const line of facts) assert.ok(page.includes(line), page)
  assert.match(page, /^\| Questions selected: teaching \| 3 \| selection \d+\.\d \|/m)
  for (const name of ['exact', 'training']) {
    const figure = readFileSync(join(folder, `figures/tiny-${name}.svg`), 'utf8')
    assert.match(figure, /^<svg [\s\S]*<\/svg>\n$/)
    assert.match(figure, 'Reinforced')
    assert.not.match(figure, 'NaN')
  }
  await run(['study', 'study.yaml', '--results', 'page.md'], folder)
  assert.is(readFileSync(join(folder, 'page.md'), 'utf8'), page)
})

test('--until and Ctrl-C stop with what was done kept, and --only asks for what it stands on', async ({ folder }) => {
  rmSync(join(folder, 'runs'), { recursive: true })
  const alone = await run(['study', 'study.yaml', '--only', 'rl-s3'], folder)
  assert.is(alone.code, 1)
  assert.match(alone.err, 'expected warm-s3 to be done, it is at step 0 of 4')
  writeFileSync(join(folder, 'page.md'), pageText)
  assert.is((await run(['study', 'study.yaml', '--results', 'page.md'], folder)).code, 0)
  const page = readFileSync(join(folder, 'page.md'), 'utf8')
  assert.match(page, '| Reinforced |  | not run yet |')
  assert.match(page, '**not run yet**')
  writeFileSync(join(folder, 'plain.md'), 'no markers')
  const lost = await run(['study', 'study.yaml', '--results', 'plain.md'], folder)
  assert.is(lost.code, 2)
  assert.match(lost.err, 'expected the lines <!-- study tiny -->')
  const busy = start(['study', 'study.yaml', '--until', '0.2', '--set', 'evaluations.dev.maxTokens=200'], folder)
  while (!existsSync(join(folder, 'runs/tiny/lock'))) await new Promise((resolve) => setTimeout(resolve, 20))
  const second = await run(['study', 'study.yaml'], folder)
  assert.is(second.code, 1)
  assert.match(second.err, 'expected no other process at runs/tiny')
  assert.is((await busy.ended).code, 0)
  rmSync(join(folder, 'runs'), { recursive: true })
  const short = await run(['study', 'study.yaml', '--until', '0.005'], folder) // a third of a second: nothing is whole
  assert.is(short.code, 0, short.err)
  assert.match(short.out, 'stopped: the same command goes on')
  assert.not.ok(existsSync(join(folder, 'runs/tiny/lock')))
  assert.equal(orphansOf(join(folder, 'runs/tiny')), [])
})

test('a wrong study is told before anything runs', async ({ folder }) => {
  const cases: [string, string][] = [
    ['seeds=[1, 1]', 'seeds: expected different ones'],
    ['seeds=[]', 'seeds: expected'],
    ['rounds=[[bse]]', 'rounds: expected one of base, warm, rl, got "bse"'],
    ['rounds=[[rl/7]]', 'rounds: rl/7: expected one of 3, got "7"'],
    ['trainings.rl.from=wram', 'trainings.rl.from: expected one of warm, rl, got "wram"'],
    ['trainings.rl.on=some', 'trainings.rl.on: expected one of teaching, got "some"'],
    ['trainings.warm.from=rl', 'trainings.warm.from: expected no circle'],
    ['trainings.warm.config=none.yaml', 'cannot read none.yaml'],
    ['trainings.warm.set=[maxStep=3]', 'unknown key "maxStep"; did you mean "maxSteps"?'],
    ['trainings.warm.set=[maxSteps=-1]', 'trainings.warm: expected maxSteps in sft.yaml'],
    ['trainings.warm.mintes=3', 'unknown key "mintes"'],
    ['evaluations.bfcl.categories=[nope]', 'got "nope"'],
    ['claims.0.better=ll', 'claims[0]: expected one of base, warm, rl, got "ll"'],
    ['tables.0.columns=[a, b]', 'tables[0]: theirs alone: expected 2 scores, as there are columns, got 1'],
  ]
  const results = await Promise.all(cases.map(([set]) => run(['study', 'study.yaml', '--plan', '--set', set], folder)))
  for (const [i, [set, message]] of cases.entries()) {
    assert.is(results[i]!.code, 2, `${set}: ${results[i]!.err}`)
    assert.match(results[i]!.err, message, set)
    assert.not.match(results[i]!.err, /^\s+at /m)
  }
  const shared = await run(['study', 'study.yaml', '--plan', '--set', 'trainedOn=overlap.jsonl'], folder)
  assert.match(shared.err, 'expected a readable file at overlap.jsonl')
})

test.run()
