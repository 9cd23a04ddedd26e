import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { settingsOf } from '../../lib/cli/options.js'
import type { PlanFlags } from '../../lib/cli/plan/flags.js'
import { makePlan, type Plan } from '../../lib/cli/plan/plan.js'
import { configToHuggingFace } from '../../lib/formats/config.js'
import { shapeConfig } from '../../lib/nn/shapes.js'
import { parseSFTRun, parseTrainRun } from '../../lib/train/config.js'
import { runCallgrad } from './support/callgrad.js'
import { writeWeatherData } from './support/endpoint.js'

const test = suite<{ folder: string }>('--plan')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-plan-'))
  writeWeatherData(context.folder, 10)
  writeFileSync(
    join(context.folder, 'rl.yaml'),
    `model: Qwen/Qwen2.5-0.5B-Instruct
dataset: data.jsonl
dtype: bf16
promptsPerStep: 4
numGenerations: 5
updatesPerGeneration: 2
numTrainEpochs: 2
maxPromptLength: 1024
maxCompletionLength: 256
beta: 0.001
`,
  )
  writeFileSync(
    join(context.folder, 'sft.yaml'),
    'model: Qwen/Qwen2.5-0.5B-Instruct\ndataset: data.jsonl\ndtype: bf16\nexamplesPerStep: 4\nmaxLength: 1024\n',
  )
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const run = (folder: string, ...args: string[]) => runCallgrad(args, folder)

/** The plan of a config in the folder, its data as an absolute path. */
function planOf(
  folder: string,
  file: 'rl.yaml' | 'sft.yaml',
  set: readonly string[] = [],
  flags: PlanFlags = {},
): Promise<Plan> {
  const tree = settingsOf(join(folder, file), { dataset: join(folder, 'data.jsonl') }, set)
  const planned =
    file === 'sft.yaml'
      ? { kind: 'sft' as const, run: parseSFTRun(tree) }
      : { kind: 'grpo' as const, run: parseTrainRun(tree) }
  return makePlan(planned, flags)
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}

test('steps, tokens, memory and time, without weights', async ({ folder }) => {
  const plan = await planOf(folder, 'rl.yaml', [], { throughput: 1000, completionTokens: 100 })
  assert.is(plan.parameters, 494_032_768)
  assert.is(plan.examples, 10)
  assert.equal(plan.length, { generations: 5, updates: 10 })
  assert.ok(plan.promptTokens.value > 300 && plan.promptTokens.value < 700, `${plan.promptTokens.value}`)
  assert.match(plan.promptTokens.how, '4 characters a token')
  assert.is(plan.tokens?.drawn, 5 * 4 * 5 * 100)
  assert.is(plan.seconds, plan.tokens!.counted / 1000)
  const { total, ...parts } = plan.memory
  assert.is(
    Object.values(parts).reduce((sum, bytes) => sum + bytes, 0),
    total,
  )
  assert.ok(parts.reference > 0)
  assert.is(plan.advice, null)

  const short = await planOf(folder, 'rl.yaml', ['maxPromptLength=100'])
  assert.match(short.notes.join(), '10 of the 10 prompts counted have more than 100 tokens')

  const text = await run(folder, 'train', 'rl.yaml', '--plan', '--device-memory', '80GB')
  assert.is(text.code, 0, text.err)
  for (const part of ['10 updates in 5 generations', 'both moments of AdamW', '80.0 GB: fits', '494.0 M parameters'])
    assert.match(text.out, part)
})

test('what cannot fit is refused, saying what would', async ({ folder }) => {
  const { code, out, err } = await run(folder, 'train', 'rl.yaml', '--plan', '--device-memory', '8GB', '--json')
  assert.is(code, 1)
  assert.match(err, 'expected a run that fits into 8.00 GB, got one that needs')
  assert.match(err, /a device of .* GB would hold it as it is/)
  assert.ok((JSON.parse(out) as Plan).advice)
  const tight = await run(folder, 'train', 'rl.yaml', '--plan', '--device-memory', '12.5GB', '--set', 'kvMemory=4GB')
  assert.is(tight.code, 1)
  assert.match(tight.err, /it fits with .*kvMemory: [\d.]+GB/)
})

test('devices are counted with the settings that are given, and with what a smaller number assumes', async ({
  folder,
}) => {
  const large = ['model=Qwen/Qwen2.5-7B-Instruct', 'kvMemory=20GB', 'tokensPerMicrobatch=30720', 'device=cuda']
  const paper = ['maxPromptLength=4096', 'maxCompletionLength=8192', 'gradientCheckpointing=true']
  const set = [...large, ...paper].flatMap((one) => ['--set', one])
  const { code, err } = await run(folder, 'train', 'rl.yaml', '--plan', '--device-memory', '80GB', ...set)
  assert.is(code, 1)
  assert.match(
    err,
    /; 5 of these devices could as it is, 3 with tokensPerMicrobatch: 12288, kvMemory: 0\.8GB, had each/,
  )
})

test('supervised runs, data and models that are not here', async ({ folder }) => {
  const sft = await planOf(folder, 'sft.yaml')
  assert.equal(sft.length, { generations: null, updates: 3 })
  assert.is(sft.memory.kv, 0)
  assert.ok(sft.completionTokens.value > 10)

  const lost = await planOf(folder, 'rl.yaml', ['dataset=none.jsonl'])
  assert.is(lost.length, null)
  assert.match(lost.data, 'not here')
  assert.match(lost.notes.join(), '--examples N')
  const told = await planOf(folder, 'rl.yaml', ['dataset=none.jsonl'], { examples: 62688 })
  assert.is(told.length?.generations, Math.ceil((2 * 62688) / 4))
  assert.is(told.promptTokens.value, 1024)

  const half = ['dataset.path=none.jsonl', 'dataset.part=1/2']
  const part = await planOf(folder, 'sft.yaml', half, { examples: 5518 })
  assert.is(part.examples, 2759)
  assert.equal(part.length, { generations: null, updates: Math.ceil(2759 / 4) })
  assert.is(part.examplesFrom, 'of the 5,518 of --examples, dataset.part 0 to 0.5')
  const few = await planOf(folder, 'rl.yaml', ['dataset.path=none.jsonl', 'dataset.limit=100'], { examples: 5518 })
  assert.is(few.examples, 100)
  assert.is(few.length?.generations, 50)
  assert.match(await messageOf(planOf(folder, 'sft.yaml', half, { examples: 1 })), 'expected enough for dataset')
  const text = await run(folder, 'sft', 'sft.yaml', '--plan', '--examples', '9', ...half.flatMap((s) => ['--set', s]))
  assert.match(text.out, '4 (of the 9 of --examples, dataset.part 0 to 0.5)')

  assert.match(
    await messageOf(planOf(folder, 'rl.yaml', ['model=runs/none'])),
    'give its architecture with shape: NAME',
  )
  const named = await planOf(folder, 'rl.yaml', ['model=runs/none', 'shape=llama-3.1-8b'])
  assert.is(named.parameters, 8_030_261_248)

  mkdirSync(join(folder, 'm'))
  const config = configToHuggingFace(shapeConfig('smollm2-135m'), 'bfloat16')
  writeFileSync(join(folder, 'm/config.json'), JSON.stringify(config))
  assert.is((await planOf(folder, 'rl.yaml', [`model=${join(folder, 'm')}`])).parameters, 134_515_008)
})

test('everything that a training would stop at stops a plan', async ({ folder }) => {
  const bad = join(folder, 'rl.yaml')
  const cases: [string, string][] = [
    ['numGenerations=1', 'numGenerations: expected an integer of at least 2'],
    ['maxCompletionLength=40000', "maxCompletionLength: expected less than the model's context of 32768"],
    ['reward=v9', 'reward: expected one of v0'],
    ['reward=./none.mjs', 'cannot load ./none.mjs'],
    ['kvMemory=1MB', 'kvMemory: expected at least'],
    ['shape=qwen', 'shape: expected one of "smollm2-135m"'],
    [`dataset=${bad}`, '[data]'],
    [`evalDataset=${bad}`, '[data]'],
  ]
  for (const [set, expected] of cases) {
    const message = await messageOf((async () => planOf(folder, 'rl.yaml', [set]))())
    assert.ok(message.includes(expected), `${set}: ${message}`)
  }
  const usage = await run(folder, 'train', 'rl.yaml', '--plan', '--device-memory', 'much')
  assert.is(usage.code, 2)
  assert.match(usage.err, 'expected bytes, or a text like 80GB')
})

test.run()
