import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KvCache } from '../../lib/nn/kv-cache.js'
import { LocalEngine } from '../../lib/rollout/engine.js'
import { defaultSampling } from '../../lib/rollout/settings.js'
import type { GenerateRequest } from '../../lib/rollout/types.js'
import { device } from '../../lib/tensor/device.js'
import { tinyConfigs, tinyParams } from './support/models.js'

const config = tinyConfigs.llama!
const request: GenerateRequest = {
  prompts: [
    [1, 2, 3],
    [4, 5],
  ],
  settings: { ...defaultSampling, n: 3, maxTokens: 9 },
  kvMemory: 1e7,
}

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a rejection')
}

test('results come in (prompt, sample) order with the version of the weights', async () => {
  const params = tinyParams(config, 'f32')
  params.refresh()
  const rollouts = await new LocalEngine(params).generate(request)
  assert.equal(
    rollouts.map((r) => [r.prompt, r.sample, r.tokens.length, r.logprobs.length, r.finishReason, r.weightVersion]),
    [0, 0, 0, 1, 1, 1].map((prompt, i) => [prompt, i % 3, 9, 9, 'length', 2]),
  )
  assert.ok(rollouts.every((r) => r.logprobs.every((l) => l <= 0 && Number.isFinite(l))))
  params.dispose()
})

test('memory is flat over many calls, aborted and failing ones included', async () => {
  const params = tinyParams(config, 'f32')
  const engine = new LocalEngine(params)
  const d = device('cpu')
  await engine.generate(request)
  const { allocated, tensors, reserved } = d.memory()
  for (let i = 0; i < 20; i++) {
    await engine.generate({ ...request, prefillChunk: 1 + i, maxBatch: 1 + (i % 6) })
    const controller = new AbortController()
    const reason = new Error('enough')
    const aborted = engine.generate({
      ...request,
      settings: { ...request.settings, maxTokens: 200 },
      signal: controller.signal,
      onToken: () => controller.abort(reason),
    })
    assert.is(await rejection(aborted), reason)
    await rejection(engine.generate({ ...request, kvMemory: 1 }))
    assert.is(d.memory().allocated, allocated, `call ${i}`)
    assert.is(d.memory().tensors, tensors, `call ${i}`)
    assert.is(d.memory().reserved, reserved, `call ${i}`)
  }
  params.dispose()
})

test('two requests at once draw what each draws alone', async () => {
  const params = tinyParams(config, 'f32')
  const engine = new LocalEngine(params)
  const other = { ...request, settings: { ...request.settings, seed: 1, maxTokens: 30 } }
  const alone = [await engine.generate(request), await engine.generate(other)]
  assert.equal(await Promise.all([engine.generate(request), engine.generate(other)]), alone)
  params.dispose()
})

test('prompts that begin alike are computed from where they part, with the bits of each alone', async () => {
  for (const family of ['llama', 'qwen2', 'qwen3'] as const) {
    const params = tinyParams(tinyConfigs[family]!, 'f32')
    const engine = new LocalEngine(params)
    const tokens = (from: number, count: number) => Array.from({ length: count }, (_, i) => (from + 3 * i) % 40)
    const start = tokens(1, 150)
    const prompts = [
      tokens(5, 7),
      [...start, ...tokens(2, 30)],
      [...start, ...tokens(7, 9)],
      start.slice(0, 140),
      start.slice(0, 70),
    ]
    const settings = { ...request.settings, n: 2, maxTokens: 5 }
    const promptIds = prompts.map((_, i) => i)
    const alone = []
    for (const [i, prompt] of prompts.entries()) {
      const rollouts = await engine.generate({ ...request, prompts: [prompt], promptIds: [i], settings })
      alone.push(...rollouts.map((rollout) => ({ ...rollout, prompt: i })))
    }
    for (const prefillChunk of [1024, 100, 17]) {
      let computed = 0
      const onStats = ({ prefillTokens }: { prefillTokens: number }) => (computed = prefillTokens)
      assert.equal(await engine.generate({ ...request, prompts, promptIds, settings, prefillChunk, onStats }), alone)
      assert.is(computed, 6 + 179 + (158 - 128) + (139 - 128) + (69 - 64), `${family}, ${prefillChunk} a batch`)
    }
    params.dispose()
  }
})

test('greedy takes the likeliest token and reports its log-prob at temperature 1', async () => {
  const params = tinyParams(config, 'f32')
  const engine = new LocalEngine(params)
  const [first, ...others] = await engine.generate({
    ...request,
    prompts: [[1, 2, 3]],
    settings: { ...request.settings, temperature: 0 },
  })
  for (const r of others) assert.equal({ ...r, sample: 0 }, first)
  const [topOne] = await engine.generate({
    ...request,
    prompts: [[1, 2, 3]],
    settings: { ...request.settings, n: 1, topK: 1 },
  })
  assert.equal(topOne, first)
  params.dispose()
})

test('statistics count prompt tokens once and drawn tokens', async () => {
  const params = tinyParams(config, 'f32')
  let called = 0
  await new LocalEngine(params).generate({
    ...request,
    onStats: (stats) => {
      called++
      assert.is(stats.prefillTokens, 2 + 1)
      assert.is(stats.decodeTokens, 6 * 9)
      assert.is(stats.decodeSteps, 9)
      assert.is(stats.pages, 2 + 6)
      assert.is(stats.peakPages, 2 + 6)
      assert.is(stats.pageBytes, KvCache.pageBytes(config, 'f32'))
      assert.ok(stats.prefillSeconds > 0 && stats.decodeSeconds > 0)
    },
  })
  assert.is(called, 1)
  params.dispose()
})

test('memory for keys and values that holds no completion is an error that says how much would', async () => {
  const params = tinyParams(config, 'f32')
  const pageBytes = KvCache.pageBytes(config, 'f32')
  const engine = new LocalEngine(params)
  const error = await rejection(engine.generate({ ...request, kvMemory: 2 * pageBytes - 1 }))
  assert.is(error.code, 'ERR_MEMORY')
  assert.match(error.message, `kvMemory of at least ${2 * pageBytes} bytes`)
  const rollouts = await engine.generate({ ...request, kvMemory: 2 * pageBytes })
  assert.is(rollouts.length, 6)
  params.dispose()
})

test('settings and prompts that make no sense are refused by name', async () => {
  const params = tinyParams(config, 'f32')
  const engine = new LocalEngine(params)
  const { settings } = request
  const wrong: [Partial<GenerateRequest>, string, RegExp][] = [
    [{ settings: { ...settings, n: 0 } }, 'ERR_CONFIG', /n to be a whole number of at least 1, got 0/],
    [{ settings: { ...settings, maxTokens: -1 } }, 'ERR_CONFIG', /maxTokens/],
    [{ settings: { ...settings, temperature: Number.NaN } }, 'ERR_CONFIG', /temperature .* got NaN/],
    [{ settings: { ...settings, topP: 0 } }, 'ERR_CONFIG', /topP/],
    [{ settings: { ...settings, minP: 2 } }, 'ERR_CONFIG', /minP/],
    [{ settings: { ...settings, topK: 1.5 } }, 'ERR_CONFIG', /topK/],
    [{ settings: { ...settings, stop: [61] } }, 'ERR_CONFIG', /stop to be tokens below 61, got 61/],
    [{ prompts: [[1], []] }, 'ERR_RANGE', /prompt 1 to have a token/],
    [{ prompts: [[1, 61]] }, 'ERR_RANGE', /got 61 at 1 of prompt 0/],
    [{ prompts: [new Array(513).fill(1)] }, 'ERR_RANGE', /at most 512 tokens, prompt 0 has 513/],
    [{ promptIds: [1] }, 'ERR_SHAPE', /2 promptIds, got 1/],
    [{ maxBatch: 0 }, 'ERR_CONFIG', /maxBatch/],
  ]
  for (const [changes, code, message] of wrong) {
    const error = await rejection(engine.generate({ ...request, ...changes }))
    assert.is(error.code, code, error.message)
    assert.match(error.message, message)
  }
  params.dispose()
})

test('NaN weights are one clear error, and the device works afterwards', async () => {
  const params = tinyParams(config, 'f32')
  params.importTensor('model.norm.weight', new Float32Array(config.hiddenSize).fill(Number.NaN))
  params.refresh()
  const engine = new LocalEngine(params)
  const error = await rejection(engine.generate(request))
  assert.match(error.message, /NaN/)
  params.importTensor('model.norm.weight', new Float32Array(config.hiddenSize).fill(1))
  params.refresh()
  assert.is((await engine.generate(request)).length, 6)
  params.dispose()
})

test('a prompt as long as the context draws one token', async () => {
  const params = tinyParams(config, 'f32')
  const rollouts = await new LocalEngine(params).generate({ ...request, prompts: [new Array(512).fill(1)] })
  assert.equal(
    rollouts.map((r) => r.tokens.length),
    [1, 1, 1],
  )
  params.dispose()
})

test.run()
