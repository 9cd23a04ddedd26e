import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkPage, openBrowser } from '../support/browser.js'
import { runCallgrad as run, startCallgrad as start } from './support/callgrad.js'
import { tiny } from './support/tiny.js'

/** The page as a reader's browser has it, where there is one. */
async function inBrowser(file: string): Promise<void> {
  assert.ok(existsSync(file), file)
  const browser = await openBrowser()
  if (!browser) return
  try {
    await checkPage(browser, file, { charts: 6 })
  } finally {
    await browser.close()
  }
}

const lines = (text: string) => text.trim().split('\n')

const test = suite<{ folder: string }>('commands')
test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-cli-'))
})
test.after((context) => rmSync(context.folder, { recursive: true, force: true }))

test('help is there for every command and exits 0', async ({ folder }) => {
  const top = await run(['--help'], folder)
  assert.is(top.code, 0)
  const names = ['quickstart', 'train', 'sft', 'eval', 'generate', 'data', 'bench', 'report', 'doctor']
  for (const name of names) assert.match(top.out, new RegExp(`^ {2}${name} `, 'm'))
  const pages = await Promise.all(names.map((name) => run([name, '--help'], folder)))
  for (const page of pages) {
    assert.is(page.code, 0)
    assert.match(page.out, 'Examples:')
  }
})

test('wrong usage and wrong configs are one line and exit 2', async ({ folder }) => {
  writeFileSync(join(folder, 'wrong.yaml'), 'model: m\ndataset: d.jsonl\nnumGeneration: 4\n')
  writeFileSync(join(folder, 'sft.yaml'), 'model: m\ndataset: d.jsonl\nexamplesPerStep: 4\n')
  writeFileSync(join(folder, 'rl.yaml'), 'model: m\ndataset: d.jsonl\nreward: v0\nbeta: 0.1\n')
  writeFileSync(join(folder, 'broken.yaml'), 'model: [\n')
  const cases: [string[], string][] = [
    [['trian'], 'unknown command'],
    [['train'], "missing required argument 'config'"],
    [['eval', '--model', 'm'], "required option '-d, --data <file>' not specified"],
    [['doctor', '--verbose'], 'unknown option'],
    [['generate', '--model', 'm', '-n', 'x'], 'expected a number'],
    [['train', 'wrong.yaml'], 'TypeError [config] unknown key "numGeneration"; did you mean "numGenerations"?'],
    [['train', 'sft.yaml', '--plan'], 'examplesPerStep is a key of `callgrad sft`; run `callgrad sft sft.yaml`'],
    [['sft', 'rl.yaml'], 'reward, beta are keys of `callgrad train`; run `callgrad train rl.yaml`'],
    [['train', 'broken.yaml'], 'broken.yaml:'],
    [['train', 'missing.yaml'], 'cannot read missing.yaml'],
    [
      ['train', 'wrong.yaml', '--set', 'numGeneration=null', '--set', 'beta=-1'],
      'beta: expected a number of at least 0, got -1',
    ],
    [['quickstart', '--set', 'grpo.promptsPerStep=0'], 'grpo.promptsPerStep: expected an integer of at least 1, got 0'],
    [['quickstart', '--set', 'grpo.promtsPerStep=1'], 'did you mean "promptsPerStep"?'],
    [['bench', 'step', '--dtype', 'fp8'], 'expected auto, fp32 or bf16, got "fp8"'],
  ]
  const results = await Promise.all(cases.map(([args]) => run(args, folder)))
  for (const [i, [args, message]] of cases.entries()) {
    assert.is(results[i]!.code, 2, args.join(' '))
    assert.match(results[i]!.err, message)
    assert.not.match(results[i]!.err, /^\s+at /m)
  }
})

test('what cannot be carried out exits 1, with a stack only on request', async ({ folder }) => {
  const failed = await run(['report', 'no-such-run'], folder)
  assert.is(failed.code, 1)
  assert.is(lines(failed.err).length, 1)
  assert.match(failed.err, 'Error [report] expected a run folder or results of an evaluation, got no-such-run')
  process.env.CALLGRAD_DEBUG = '1'
  try {
    assert.match((await run(['report', 'no-such-run'], folder)).err, /^\s+at /m)
  } finally {
    delete process.env.CALLGRAD_DEBUG
  }
})

test('doctor prints JSON', async ({ folder }) => {
  const { code, out } = await run(['doctor', '--json'], folder)
  assert.is(code, 0)
  const found = JSON.parse(out) as { devices: { name: string; available: boolean }[] }
  assert.ok(found.devices.some((device) => device.name === 'cpu' && device.available))
})

test('the quickstart leaves a run, and its model answers, evaluates and resumes as data', async ({ folder }) => {
  const { code, out, err } = await run(['quickstart', '--json', '--output', 'q', ...tiny], folder)
  assert.is(code, 0, err)
  const result = JSON.parse(out) as { sft: { n: number }; grpo: { exactMatch: { low: number } }; finished: boolean }
  assert.is(result.sft.n, 4)
  assert.is(result.finished, true)
  for (const file of ['report.html', 'eval.jsonl', 'questions.jsonl', 'grpo/metrics.jsonl', 'grpo/completions.jsonl'])
    assert.ok(existsSync(join(folder, 'q', file)), file)
  assert.is(lines(readFileSync(join(folder, 'q/questions.jsonl'), 'utf8')).length, 3)
  const metrics = lines(readFileSync(join(folder, 'q/grpo/metrics.jsonl'), 'utf8')).map((line) => JSON.parse(line))
  assert.ok(metrics.some((line) => typeof line.eval_exact_match === 'number'))

  await inBrowser(join(folder, 'q/report.html'))

  const [checkpoint] = readdirSync(join(folder, 'q/grpo/checkpoints'))
  const model = join('q/grpo/checkpoints', checkpoint!)
  const answer = await run(
    ['generate', '--model', model, '--prompt', 'Book a hotel.', '--max-tokens', '4', '--json'],
    folder,
  )
  assert.is(answer.code, 0, answer.err)
  assert.ok((JSON.parse(answer.out) as { answers: { tokens: number }[] }).answers[0]!.tokens <= 4)

  const record = {
    id: 'r1',
    query: 'Is it raining in Lyon?',
    tools: JSON.stringify([
      {
        name: 'get_weather',
        description: 'Weather',
        parameters: { type: 'object', properties: { city: { type: 'string' } } },
      },
    ]),
    answers: JSON.stringify([{ name: 'get_weather', arguments: { city: 'Lyon' } }]),
  }
  writeFileSync(join(folder, 'data.jsonl'), `${JSON.stringify(record)}\n{"id": "broken"\n`)
  const native = ['--prompt-format', 'native']
  const evaluated = await run(
    ['eval', '-m', model, '-d', 'data.jsonl', ...native, '--max-tokens', '4', '-o', 'a.jsonl', '--json'],
    folder,
  )
  assert.is(evaluated.code, 0, evaluated.err)
  const rates = JSON.parse(evaluated.out) as { samples: number; exactMatch: { value: number; high: number } }
  assert.is(rates.samples, 1)
  assert.ok(rates.exactMatch.high > rates.exactMatch.value)
  assert.is(lines(readFileSync(join(folder, 'a.jsonl'), 'utf8')).length, 1)

  const inspected = await run(['data', 'inspect', 'data.jsonl'], folder)
  assert.match(inspected.out, '1 of 2 records left out, the first at data.jsonl:2')
  assert.match(inspected.out, 'Is it raining in Lyon?')
  const stats = await run(['data', 'stats', 'data.jsonl', '--model', model, '--json'], folder)
  assert.ok((JSON.parse(stats.out) as { counts: Record<string, { mean: number }> }).counts['prompt tokens']!.mean > 10)
  const rendered = await run(['data', 'render', 'data.jsonl', '--model', model, ...native], folder)
  assert.match(rendered.out, 'get_weather')

  // The sample of an id is the one that inspect shows for it.
  const reply = { role: 'assistant', tool_calls: [{ function: { name: 'get_weather', arguments: '{}' } }] }
  const chat = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'Rain?' },
    reply,
  ]
  writeFileSync(
    join(folder, 'chat.jsonl'),
    JSON.stringify({ id: 'c', messages: chat, tools: JSON.parse(record.tools) }),
  )
  for (const [flags, last] of [
    [[], 'c'],
    [['--include-no-call'], 'c/2'],
  ] as const) {
    const shown = await run(['data', 'inspect', 'chat.jsonl', '--id', last, '--json', ...flags], folder)
    const text = await run(
      ['data', 'render', 'chat.jsonl', '--model', model, '--id', last, ...native, ...flags],
      folder,
    )
    assert.match(shown.out, 'Rain?')
    assert.match(text.out, 'Rain?')
  }
})

test('training from a config: a run folder, no overwriting, more steps on resume', async ({ folder }) => {
  const call = (city: string) => JSON.stringify([{ name: 'get_weather', arguments: { city } }])
  const tools = JSON.stringify([
    {
      name: 'get_weather',
      description: 'Weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
    },
  ])
  const records = ['Lyon', 'Oslo', 'Rome', 'Bonn'].map((city) => ({
    id: city,
    query: `Rain in ${city}?`,
    tools,
    answers: call(city),
  }))
  writeFileSync(join(folder, 'train.jsonl'), records.map((r) => `${JSON.stringify(r)}\n`).join(''))
  writeFileSync(join(folder, 'reward.mjs'), 'export const short = ({ tokens }) => 1 / (1 + tokens.length)\n')
  writeFileSync(
    join(folder, 'grpo.yaml'),
    `model: q/grpo
dataset: { path: train.jsonl, part: 1/2 }
evalDataset: { path: train.jsonl, part: 2/2 }
promptFormat: native
reward: [v0, { name: ./reward.mjs#short, weight: 0.5 }]
promptsPerStep: 2
numGenerations: 2
maxCompletionLength: 4
maxSteps: 1
`,
  )
  const first = await run(['train', 'grpo.yaml', '--json'], folder)
  assert.is(first.code, 0, first.err)
  const metrics = () =>
    lines(readFileSync(join(folder, 'runs/grpo/metrics.jsonl'), 'utf8')).map((line) => JSON.parse(line))
  assert.is(metrics().length, 1)
  assert.type(metrics()[0]['rewards/short/mean'], 'number')
  assert.is((JSON.parse(readFileSync(join(folder, 'runs/grpo/config.json'), 'utf8')) as { beta: number }).beta, 0)
  assert.is(lines(readFileSync(join(folder, 'runs/grpo/eval.jsonl'), 'utf8')).length, 1)

  const again = await run(['train', 'grpo.yaml'], folder)
  assert.is(again.code, 2)
  assert.match(again.err, 'runs/grpo holds one: go on with --resume')

  const resumed = await run(['train', 'grpo.yaml', '--resume', '--set', 'maxSteps=2', '--json'], folder)
  assert.is(resumed.code, 0, resumed.err)
  assert.equal(
    metrics().map((line) => line.step),
    [1, 2],
  )

  const compared = await run(['report', 'runs/grpo', 'q', '--output', 'both.html', '--json'], folder)
  assert.is(compared.code, 0, compared.err)
  await inBrowser(join(folder, 'both.html'))

  const unknown = await run(['train', 'grpo.yaml', '--set', 'name=other', '--set', 'reward=v9'], folder)
  assert.is(unknown.code, 2)
  assert.match(unknown.err, 'reward: expected one of v0')
})

/** Resolves when the child has printed `text`. */
function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = ''
    child.on('close', (code) => reject(new Error(`exit ${code} before "${text}" in: ${seen}`)))
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk: string) => {
        seen += chunk
        if (seen.includes(text)) resolve()
      })
  })
}

test('Ctrl-C finishes the step, saves and exits 0; twice ends at once with 130', async ({ folder }) => {
  const long = ['--set', 'maxSteps=100000', '--set', 'evalDataset=null', '--resume']
  const polite = start(['train', 'grpo.yaml', ...long, '--set', 'name=stopped'], folder)
  await printed(polite.child, '2/100000')
  polite.child.kill('SIGINT')
  const ended = await polite.ended
  assert.is(ended.code, 0, ended.err)
  assert.match(ended.out, 'go on with --resume')
  const steps = readdirSync(join(folder, 'runs/stopped/checkpoints'))
  const logged = lines(readFileSync(join(folder, 'runs/stopped/metrics.jsonl'), 'utf8'))
  assert.is(steps.at(-1), `step-${String((JSON.parse(logged.at(-1)!) as { step: number }).step).padStart(6, '0')}`)

  const impatient = start(
    ['train', 'grpo.yaml', ...long, '--set', 'name=killed', '--set', 'maxCompletionLength=200'],
    folder,
  )
  await printed(impatient.child, '1/100000')
  impatient.child.kill('SIGINT')
  await printed(impatient.child, 'again to end at once')
  impatient.child.kill('SIGINT')
  const { code } = await impatient.ended
  // The step that was running may have ended in between: then the first signal was enough.
  assert.ok(code === 130 || code === 0, `exit ${code}`)
})

test.run()
