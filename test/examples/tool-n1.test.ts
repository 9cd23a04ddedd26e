// The recipes of examples/tool-n1: every one parses, holds only what differs, and has the figures of the paper and its code.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { readConfigFile } from '../../lib/cli/config-file.js'
import { makePlan, type Planned } from '../../lib/cli/plan/plan.js'
import { bytes } from '../../lib/cli/ui/format.js'
import { grpoPart, parseSFTRun, parseTrainRun } from '../../lib/train/config.js'

const folder = fileURLToPath(new URL('../../../examples/tool-n1/', import.meta.url))
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
const planned = (file: string): Planned => {
  const tree = readConfigFile(join(folder, file))
  return file.startsWith('sft') ? { kind: 'sft', run: parseSFTRun(tree) } : { kind: 'grpo', run: parseTrainRun(tree) }
}
const rl = (file: string) => parseTrainRun(readConfigFile(join(folder, file)))
const sft = (file: string) => parseSFTRun(readConfigFile(join(folder, file)))

test('there is a recipe for every training of the paper, and the page names each', () => {
  assert.equal(files.sort(), [
    'rl-0.5b.yaml',
    'rl-1.5b.yaml',
    'rl-100.yaml',
    'rl-14b.yaml',
    'rl-3b.yaml',
    'rl-50.yaml',
    'rl-7b.yaml',
    'rl-after-sft.yaml',
    'rl-data-toolace.yaml',
    'rl-data-xlam.yaml',
    'rl-llama-3.1-8b.yaml',
    'rl-reward-v2.yaml',
    'rl-reward-v3.yaml',
    'rl-reward-v4.yaml',
    'sft-100.yaml',
    'sft-50.yaml',
    'sft-reason-100.yaml',
    'sft-reason-50.yaml',
  ])
  const page = readFileSync(join(folder, 'README.md'), 'utf8')
  for (const file of files) assert.ok(page.includes(`\`${file}\``), file)
})

test('every recipe has a name of its own, and says only what its base does not', () => {
  assert.is(new Set(files.map((file) => planned(file).run.name)).size, files.length)
  for (const file of files) {
    const { extends: base, ...own } = parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>
    if (base === undefined) continue
    assert.ok(Object.keys(own).length <= 4, file)
    const inherited = readConfigFile(join(folder, base as string))
    for (const [key, value] of Object.entries(own)) {
      const before = inherited[key]
      const same = JSON.stringify(before) === JSON.stringify(value)
      assert.not.ok(same, `${file}: ${key} is the base's`)
      if (key !== 'dataset' || typeof value !== 'object' || typeof before !== 'object') continue
      for (const [inner, one] of Object.entries(value as object))
        assert.is.not((before as Record<string, unknown>)[inner], one, `${file}: dataset.${inner} is the base's`)
    }
  }
})

test('reinforcement learning has the figures of the paper and, where it is silent, of its code', () => {
  const ours = grpoPart(rl('rl-7b.yaml'))
  const wanted = {
    promptsPerStep: 1024,
    numGenerations: 5,
    temperature: 0.7,
    topP: 1,
    topK: 0,
    maxPromptLength: 4096,
    maxCompletionLength: 8192,
    numTrainEpochs: 7,
    learningRate: 1e-6,
    lrSchedulerType: 'constant',
    warmupSteps: 0,
    warmupRatio: 0,
    beta: 1e-3,
    useBiasCorrectionKl: false,
    epsilon: 0.2,
    epsilonHigh: 0.2,
    updatesPerGeneration: 4,
    numIterations: 1,
    scaleRewards: 'group',
    weightDecay: 0.01,
    adamBeta1: 0.9,
    adamBeta2: 0.999,
    maxGradNorm: 1,
    lossType: 'bnpo',
    importanceSamplingLevel: 'token',
    tokensPerMicrobatch: 30720,
    gradientCheckpointing: true,
  }
  for (const [key, value] of Object.entries(wanted)) assert.is(ours[key as keyof typeof ours], value, key)
  // The others differ in what their names say, and in nothing else.
  const differing: Record<string, string[]> = {
    'rl-0.5b.yaml': ['model'],
    'rl-1.5b.yaml': ['model'],
    'rl-3b.yaml': ['model'],
    'rl-14b.yaml': ['model'],
    'rl-llama-3.1-8b.yaml': ['model', 'reward'],
    'rl-reward-v2.yaml': ['reward'],
    'rl-reward-v3.yaml': ['reward'],
    'rl-reward-v4.yaml': ['reward'],
    'rl-data-xlam.yaml': ['dataset'],
    'rl-data-toolace.yaml': ['dataset'],
    'rl-100.yaml': ['dataset'],
    'rl-50.yaml': ['dataset'],
    'rl-after-sft.yaml': ['dataset', 'model', 'shape'],
  }
  const base = rl('rl-7b.yaml') as Record<string, unknown>
  for (const [file, keys] of Object.entries(differing)) {
    const run = rl(file) as Record<string, unknown>
    const changed = Object.keys(run).filter((key) => JSON.stringify(run[key]) !== JSON.stringify(base[key]))
    assert.equal(changed.sort(), [...keys, 'name'].sort(), file)
  }
})

test('the four rewards, and halves that share no question', () => {
  const rewards = ['rl-7b.yaml', 'rl-reward-v2.yaml', 'rl-reward-v3.yaml', 'rl-reward-v4.yaml'].map(
    (file) => rl(file).reward,
  )
  assert.equal(
    rewards.map(([reward]) => reward?.name),
    ['v0', 'v2', 'v3', 'v4'],
  )
  const [learned, drawn] = [sft('sft-reason-50.yaml').dataset, rl('rl-after-sft.yaml').dataset]
  assert.is(learned.path, drawn.path)
  assert.is(learned.seed, drawn.seed)
  assert.equal(learned.part, [0, 0.5])
  assert.equal(drawn.part, [0.5, 1])
  assert.equal(sft('sft-50.yaml').dataset, { ...learned, path: sft('sft-100.yaml').dataset.path })
  assert.is(rl('rl-after-sft.yaml').model, `runs/${sft('sft-reason-50.yaml').name}`)
})

test('every recipe can be planned without weights and without its data', async () => {
  for (const file of files) {
    const plan = await makePlan(planned(file), { examples: 5518, throughput: 1e4, deviceMemory: 80e9 })
    assert.ok(plan.length && plan.length.updates > 0, file)
    assert.ok(plan.seconds && plan.seconds > 0, file)
    // One device of 80 GB holds full training of 1.5B, and no recipe of more.
    const small = ['rl-0.5b.yaml', 'rl-1.5b.yaml'].includes(basename(file))
    assert.is(plan.advice === null, small, file)
  }
})

test('a plan of half of the data counts half of --examples', async () => {
  for (const file of ['sft-50.yaml', 'sft-reason-50.yaml', 'rl-50.yaml', 'rl-after-sft.yaml'])
    assert.is((await makePlan(planned(file), { examples: 5518 })).examples, 2759, file)
  const { length } = await makePlan(planned('sft-50.yaml'), { examples: 5518 })
  assert.is(length?.updates, Math.ceil((20 * 2759) / 256))
})

test('the table of docs/recipes.md is what the plans say', async () => {
  const page = readFileSync(join(folder, '../../docs/recipes.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([\w.-]+\.yaml)` \| ([\d.]+) B \| ([\d.]+ GB) \|$/gm)]
  assert.is(rows.length, 7)
  for (const [, file, billions, memory] of rows) {
    const plan = await makePlan(planned(file!), { examples: 5518 })
    assert.is((plan.parameters / 1e9).toFixed(2), billions, file)
    assert.is(bytes(plan.memory.total), memory, file)
  }
})

test.run()
