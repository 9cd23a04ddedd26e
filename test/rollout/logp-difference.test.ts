// The log-probs that a rollout reports are the trainer's, bit for bit, and neither they nor the tokens depend on how the
// rollout was batched. On CPUs with AMX this is not promised (DESIGN.md, "Deterministic").

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packGroups } from '../../lib/batch.js'
import { forwardLogprobs } from '../../lib/nn/forward.js'
import { KvCache } from '../../lib/nn/kv-cache.js'
import type { ParamStore } from '../../lib/nn/params.js'
import { LocalEngine } from '../../lib/rollout/engine.js'
import { defaultSampling } from '../../lib/rollout/settings.js'
import type { GenerateRequest, Rollout, SamplingSettings } from '../../lib/rollout/types.js'
import { tinyConfigs, tinyParams } from './support/models.js'
import { randomNumbers } from './support/random.js'

const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length)

/** What a request draws, by prompt id and sample: the order of prompts plays no part. */
async function draw(params: ParamStore, request: Omit<GenerateRequest, 'kvMemory'> & { kvMemory?: number }) {
  const rollouts = await new LocalEngine(params).generate({ kvMemory: 1e8, ...request })
  assert.is(rollouts.length, request.prompts.length * request.settings.n)
  const byId = new Map<string, Rollout>()
  for (const r of rollouts) byId.set(`${request.promptIds?.[r.prompt] ?? r.prompt}/${r.sample}`, r)
  return byId
}

function assertSame(actual: Map<string, Rollout>, expected: Map<string, Rollout>, what: string) {
  for (const [key, r] of actual) {
    const want = expected.get(key)!
    assert.equal(r.tokens, want.tokens, `${what}: tokens of ${key}`)
    assert.equal(bits(r.logprobs), bits(want.logprobs), `${what}: log-probs of ${key}`)
    assert.is(r.finishReason, want.finishReason)
  }
}

/** Prompts around the boundaries of pages (64) and key blocks, one of a single token, two that share most of their text. */
function makePrompts(vocab: number): number[][] {
  const random = randomNumbers(5)
  const make = (length: number) => Array.from({ length }, () => random.below(vocab))
  const long = make(131)
  return [make(1), make(2), make(17), make(64), make(65), make(66), long, [...long.slice(0, 100), ...make(3)]]
}

const settings: SamplingSettings = {
  ...defaultSampling,
  n: 8,
  maxTokens: 70,
  stop: [3, 4],
  temperature: 0.8,
  seed: 7,
  step: 3,
}

for (const [name, config] of Object.entries(tinyConfigs)) {
  for (const dtype of ['f32', 'bf16'] as const) {
    test(`${name}, ${dtype}: batch size, order, chunks and memory change nothing`, async () => {
      const params = tinyParams(config, dtype)
      const prompts = makePrompts(config.vocabSize)
      const promptIds = prompts.map((_, i) => 10 + i)
      const request = { prompts, promptIds, settings }
      const all = await draw(params, request) // 64 sequences together
      const lengths = new Set([...all.values()].map((r) => r.tokens.length))
      assert.ok(lengths.size > 5 && lengths.has(70), `${[...lengths]}: completions should end at many lengths`)
      const backwards = { prompts: prompts.toReversed(), promptIds: promptIds.toReversed(), settings }
      const two = { ...request, settings: { ...settings, n: 2 } }
      assertSame(await draw(params, { ...two, maxBatch: 1 }), all, 'one at a time')
      assertSame(
        await draw(params, { ...backwards, maxBatch: 5, prefillChunk: 7 }),
        all,
        'five, backwards, chunks of 7',
      )
      assertSame(
        await draw(params, { ...backwards, maxBatch: 33, prefillChunk: 64 }),
        all,
        '33, backwards, chunks of 64',
      )
      const pageBytes = KvCache.pageBytes(config, dtype)
      assertSame(await draw(params, { ...request, kvMemory: 9 * pageBytes }), all, 'nine pages')
      for (const i of [0, 6]) {
        const alone = { prompts: [prompts[i]!], promptIds: [promptIds[i]!], settings: { ...settings, n: 3 } }
        assertSame(await draw(params, alone), all, `prompt ${i} alone`)
      }
      params.dispose()
    })

    test(`${name}, ${dtype}: log-probs of the rollout are the trainer's`, async () => {
      const params = tinyParams(config, dtype)
      const prompts = makePrompts(config.vocabSize)
      for (const changes of [{}, { temperature: 0 }, { topK: 5, topP: 0.9, minP: 0.05 }]) {
        const now = { ...settings, ...changes }
        const rollouts = [...(await draw(params, { prompts, settings: now })).values()]
        const groups = prompts.map((prompt, i) => ({ prompt, completions: rollouts.filter((r) => r.prompt === i) }))
        const subGroup = { prompt: groups[6]!.prompt, completions: groups[6]!.completions.slice(2, 5) }
        for (const part of [groups, groups.slice(3, 4), groups.slice(6), [subGroup]]) {
          for (const options of [{}, { train: true }, { train: true, checkpointActivations: true }]) {
            const scores = forwardLogprobs(params, packGroups(part), { temperature: now.temperature, ...options })
            const { logprob } = await scores.read()
            scores.dispose()
            const drawn = part.flatMap((g) => g.completions.flatMap((c) => [...c.logprobs]))
            assert.equal(bits(logprob), bits(Float32Array.from(drawn)))
          }
        }
      }
      params.dispose()
    })
  }
}

test('other seeds, steps, prompt ids and samples draw other tokens', async () => {
  const params = tinyParams(tinyConfigs.llama!, 'f32')
  const prompts = [[5, 6, 7]]
  const texts = async (changes: Partial<SamplingSettings>, id = 0) => {
    const drawn = await draw(params, {
      prompts,
      promptIds: [id],
      settings: { ...settings, n: 2, stop: [], ...changes },
    })
    return [...drawn.values()].map((r) => r.tokens.join(' '))
  }
  const [first, second] = await texts({})
  assert.is.not(first, second)
  assert.equal(await texts({}), [first, second])
  for (const other of [await texts({ seed: 8 }), await texts({ step: 4 }), await texts({}, 1)]) {
    assert.is.not(other[0], first)
    assert.is.not(other[1], second)
  }
  params.dispose()
})

test.run()
