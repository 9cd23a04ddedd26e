import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packGroups } from '../../../lib/batch.js'
import { memoryPlan } from '../../../lib/nn/memory-plan.js'
import { shapeConfig, shapeNames } from '../../../lib/nn/shapes.js'
import { parseGRPOConfig, parseSFTConfig } from '../../../lib/train/config.js'
import { GRPOTrainer } from '../../../lib/train/grpo.js'
import { adviceFor, type Change, usableBytes } from '../../../lib/train/plan/fit.js'
import { answersAtOnce, leastKv, type MemorySettings, memoryParts, totalOf } from '../../../lib/train/plan/memory.js'
import { grpoLength, grpoTokens, sftLength, sftTokens } from '../../../lib/train/plan/tokens.js'
import { tinyModel } from '../support.js'

const prompt = [5, 6, 7, 8, 9]
const completion = 4

test('a plan counts what a training then does', async () => {
  const model = tinyModel()
  // No end token: every answer has its full length.
  model.config.eosTokenIds.length = 0
  const options = {
    promptsPerStep: 4,
    numGenerations: 3,
    updatesPerGeneration: 2,
    numIterations: 2,
    numTrainEpochs: 2,
    maxCompletionLength: completion,
    beta: 0.1,
    kvMemory: '16MB',
  }
  const dataset = Array.from({ length: 7 }, (_, i) => ({ id: `${i}`, messages: [], tools: [] }))
  const config = parseGRPOConfig(options)
  const length = grpoLength(config, dataset.length)!
  const tokens = grpoTokens(config, length, { prompt: prompt.length, completion })
  const last: Record<string, number>[] = []
  try {
    const summary = await new GRPOTrainer({
      model,
      dataset,
      reward: ({ tokens: drawn }) => drawn[0]!,
      codec: { encode: () => ({ tokens: prompt, text: '' }), decode: () => '' },
      config: options,
      onStep: ({ metrics }) => {
        last.push(metrics)
      },
    }).train()
    assert.is(summary.totalSteps, length.updates)
  } finally {
    model.dispose()
  }
  assert.is(length.updates, 16)
  assert.is(length.generations, 4)
  assert.is(last.at(-1)?.num_tokens, tokens.counted)
  // Packing is asked itself how many rows a group has.
  const rows = packGroups([{ prompt, completions: Array.from({ length: 3 }, () => ({ tokens: [1, 2, 3, 4] })) }]).tokens
    .length
  assert.is(tokens.trained, 16 * 2 * rows)
  assert.is(tokens.reference, 4 * 4 * rows)
  assert.is(tokens.drawn, 4 * 4 * 3 * completion)
  assert.is(tokens.prefilled, 4 * 4 * (prompt.length - 1))
})

test('a run that ends within a generation pays for all of its rollouts', () => {
  const config = parseGRPOConfig({ promptsPerStep: 4, numGenerations: 2, updatesPerGeneration: 4, maxSteps: 5 })
  const length = grpoLength(config, null)!
  assert.equal(length, { generations: 2, updates: 5 })
  const tokens = grpoTokens(config, length, { prompt: 10, completion: 3 })
  assert.is(tokens.drawn, 2 * 4 * 2 * 3)
  assert.is(tokens.trained, 5 * (9 + 6))
  assert.is(tokens.reference, 0)
})

test('without data only maxSteps tells the length', () => {
  assert.is(grpoLength(parseGRPOConfig({}), null), null)
  assert.is(sftLength(parseSFTConfig({}), null), null)
  assert.equal(sftLength(parseSFTConfig({ maxSteps: 3 }), null), { generations: null, updates: 3 })
  const config = parseSFTConfig({ examplesPerStep: 4, numTrainEpochs: 3 })
  const length = sftLength(config, 10)!
  assert.is(length.updates, 8)
  assert.is(sftTokens(config, length, { prompt: 7, completion: 2 }).counted, 8 * 4 * 9)
})

const settings: MemorySettings = {
  dtype: 'bf16',
  packedWeights: false,
  tokensPerMicrobatch: 30720,
  gradientCheckpointing: false,
  maxPrompt: 4096,
  maxCompletion: 8192,
  kvMemory: 20e9,
  reference: true,
}

test('the parts of memory are those of the plan that training is held against', () => {
  for (const name of shapeNames) {
    const config = shapeConfig(name)
    for (const [reference, packedWeights] of [
      [false, true],
      [true, true],
      [true, false],
    ] as const) {
      const plan = memoryPlan({
        config,
        dtype: 'bf16',
        device: { packedWeights },
        rowsPerMicrobatch: 30720,
        kvMemory: 20e9,
        train: true,
        reference,
        checkpointActivations: false,
      })
      const parts = memoryParts(config, { ...settings, reference, packedWeights })
      assert.is(totalOf(parts), plan.total, name)
      assert.is(parts.masters + parts.copies + parts.reference, plan.model)
    }
  }
  // A microbatch holds at least one longest prompt with its answer.
  const config = shapeConfig('qwen2.5-0.5b')
  const small = memoryParts(config, { ...settings, tokensPerMicrobatch: 10 })
  assert.is(small.activations, memoryParts(config, { ...settings, tokensPerMicrobatch: 12288 }).activations)
})

const applied = (to: MemorySettings, changes: readonly Change[]): MemorySettings =>
  changes.reduce<MemorySettings>(
    (s, { key, value }) => {
      const over: Record<string, Partial<MemorySettings>> = {
        gradientCheckpointing: { gradientCheckpointing: value === 'true' },
        tokensPerMicrobatch: { tokensPerMicrobatch: Number(value) },
        kvMemory: { kvMemory: Number(value.replace('GB', '')) * 1e9 },
        dtype: { dtype: 'bf16' },
        beta: { reference: false },
        maxCompletionLength: { maxCompletion: Number(value) },
      }
      assert.ok(over[key], key)
      return Object.assign(s, over[key])
    },
    { ...to },
  )

test('what fits needs no advice; what does not gets advice that is enough, and no more than that', () => {
  let advised = 0
  for (const name of shapeNames)
    for (const device of [8e9, 24e9, 48e9, 80e9, 141e9, 192e9, 400e9])
      for (const dtype of ['f32', 'bf16'] as const)
        for (const kvMemory of [null, 20e9]) {
          const config = shapeConfig(name)
          const run = { ...settings, dtype, kvMemory }
          const total = (s: MemorySettings) => totalOf(memoryParts(config, s))
          const advice = adviceFor(config, run, device)
          assert.is(advice === null, total(run) <= usableBytes(device), `${name} ${device}`)
          if (!advice) continue
          assert.ok(usableBytes(advice.deviceMemory) >= total(run) - 1)
          if (!advice.changes) continue
          advised++
          const fits = (changes: readonly Change[]) => {
            const s = applied(run, changes)
            return total(s) <= usableBytes(device) && (s.kvMemory === null || s.kvMemory >= leastKv(config, s))
          }
          assert.ok(fits(advice.changes), `${name} ${device}: ${JSON.stringify(advice.changes)}`)
          for (const change of advice.changes)
            assert.not.ok(
              fits(advice.changes.filter((other) => other !== change)),
              `${name}: ${change.key} is not needed`,
            )
        }
  assert.ok(advised > 10)
})

test('the 7B of the paper needs more than one device of 80 GB, and the advice says which model does not', () => {
  const advice = adviceFor(shapeConfig('qwen2.5-7b'), settings, 80e9)!
  assert.is(advice.changes, null)
  assert.is(advice.smallerModel, 'qwen2.5-3b')
  assert.ok(advice.deviceMemory > 150e9)
})

test('a number of devices is enough for the settings that it names, and one less is not', () => {
  let named = 0
  for (const name of ['qwen2.5-3b', 'qwen2.5-7b', 'qwen2.5-14b', 'llama-3.1-8b'])
    for (const device of [40e9, 80e9, 141e9])
      for (const kvMemory of [null, 20e9]) {
        const config = shapeConfig(name)
        const run = { ...settings, gradientCheckpointing: true, kvMemory }
        const counts = adviceFor(config, run, device)?.devices ?? []
        for (const { devices, changes } of counts) {
          const { activations, kv, ...split } = memoryParts(config, applied(run, changes))
          const each = (n: number) => Object.values(split).reduce((sum, part) => sum + part, 0) / n + activations + kv
          assert.ok(each(devices) <= usableBytes(device), `${name} ${device}: ${devices}`)
          assert.ok(devices === 1 || each(devices - 1) > usableBytes(device), `${name} ${device}: fewer would do`)
        }
        if (counts.length < 2) continue
        named++
        assert.equal(counts[0]!.changes, [])
        assert.ok(counts[1]!.changes.length > 0 && counts[1]!.devices < counts[0]!.devices)
      }
  assert.ok(named > 4, String(named))
})

test('keys and values for one longest answer are what the rollout engine asks for', async () => {
  const model = tinyModel()
  const run: MemorySettings = { ...settings, dtype: 'f32', maxPrompt: 50, maxCompletion: 14 }
  const least = leastKv(model.config, run)
  const request = (kvMemory: number) =>
    model.engine.generate({
      prompts: [Array.from({ length: 50 }, (_, i) => 1 + i)],
      settings: { n: 1, maxTokens: 14, temperature: 1, topK: 0, topP: 1, minP: 0, stop: [], seed: 1, step: 0 },
      kvMemory,
    })
  try {
    assert.is((await request(least))[0]?.tokens.length, 14)
    const error = await request(least - 1).then(
      () => null,
      (e: { code?: string }) => e,
    )
    assert.is(error?.code, 'ERR_MEMORY')
    assert.is(answersAtOnce(model.config, { ...run, kvMemory: 3 * least }), 3)
  } finally {
    model.dispose()
  }
})

test.run()
