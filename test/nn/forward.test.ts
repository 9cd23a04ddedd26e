import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type PackedBatch, type PromptGroup, packGroups, packSequences } from '../../lib/batch.js'
import { createModel, type Model } from '../../lib/model.js'
import type { DecoderConfig } from '../../lib/nn/config.js'
import { forwardLogprobs } from '../../lib/nn/forward.js'
import { device } from '../../lib/tensor/device.js'

const base: DecoderConfig = {
  family: 'llama',
  vocabSize: 61,
  hiddenSize: 24,
  intermediateSize: 40,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 12,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  ropeScaling: null,
  tieWordEmbeddings: true,
  attentionBias: false,
  qkNorm: false,
  maxPositionEmbeddings: 128,
  bosTokenId: null,
  eosTokenIds: [0],
  padTokenId: null,
}

const families: Record<string, DecoderConfig> = {
  llama: base,
  qwen2: { ...base, family: 'qwen2', attentionBias: true, tieWordEmbeddings: false, numKvHeads: 1 },
  qwen3: { ...base, family: 'qwen3', qkNorm: true, headDim: 16 },
}

const tokens = (n: number, seed: number) => Array.from({ length: n }, (_, i) => (seed * 31 + i * 17 + i * i) % 61)

async function gradients(
  model: Model,
  batches: PackedBatch[],
  checkpointActivations = false,
): Promise<Map<string, Float32Array>> {
  model.params.zeroGrad()
  for (const batch of batches) {
    const scores = forwardLogprobs(model.params, batch, { train: true, temperature: 0.7, checkpointActivations })
    const weights = Float32Array.from(batch.targets, (t) => 0.1 + (t % 7) / 7)
    scores.backward(
      weights,
      Float32Array.from(weights, (w) => 0.01 * w),
    )
    scores.dispose()
  }
  const out = new Map<string, Float32Array>()
  for (const { name } of model.params.tensorSpecs()) out.set(name, await model.params.readGrad(name))
  return out
}

function largestDifference(a: Map<string, Float32Array>, b: Map<string, Float32Array>): number {
  let worst = 0
  for (const [name, x] of a) {
    const y = b.get(name)!
    const scale = Math.max(1e-3, ...x.map(Math.abs))
    for (let i = 0; i < x.length; i++) worst = Math.max(worst, Math.abs(x[i]! - y[i]!) / scale)
  }
  return worst
}

for (const [family, config] of Object.entries(families)) {
  test(`${family}: a shared prefix gives the gradients of separate sequences`, async () => {
    const model = createModel(config, { device: 'cpu', dtype: 'f32', seed: 1 })
    const groups: PromptGroup[] = [
      { prompt: tokens(9, 1), completions: [{ tokens: tokens(5, 2) }, { tokens: [] }, { tokens: tokens(1, 3) }] },
      { prompt: tokens(1, 4), completions: [{ tokens: tokens(4, 5) }, { tokens: tokens(7, 6) }] },
    ]
    const shared = await gradients(model, [packGroups(groups)])
    const apart = await gradients(
      model,
      groups.flatMap(({ prompt, completions }) =>
        completions.map((c) =>
          packSequences([
            {
              tokens: [...Array.from(prompt), ...Array.from(c.tokens)],
              mask: [...Array.from(prompt, () => 0), ...Array.from(c.tokens, () => 1)],
            },
          ]),
        ),
      ),
    )
    const split = await gradients(
      model,
      groups.flatMap(({ prompt, completions }) => completions.map((c) => packGroups([{ prompt, completions: [c] }]))),
    )
    assert.ok(largestDifference(shared, apart) < 2e-5, `apart: ${largestDifference(shared, apart)}`)
    assert.ok(largestDifference(shared, split) < 2e-5, `split: ${largestDifference(shared, split)}`)
    model.dispose()
  })

  test(`${family}: recomputed activations give bitwise the same gradients`, async () => {
    for (const dtype of ['f32', 'bf16'] as const) {
      const model = createModel(config, { device: 'cpu', dtype, seed: 2 })
      const batch = packSequences([{ tokens: tokens(11, 1) }, { tokens: tokens(6, 2) }])
      assert.is(largestDifference(await gradients(model, [batch]), await gradients(model, [batch], true)), 0)
      model.dispose()
    }
  })

  test(`${family}: gradients agree with finite differences`, async () => {
    const model = createModel(config, { device: 'cpu', dtype: 'f32', seed: 3 })
    const batch = packSequences([{ tokens: tokens(7, 1) }])
    const weights = Float32Array.from(batch.targets, (t) => 0.1 + (t % 7) / 7)
    const loss = async () => {
      const scores = forwardLogprobs(model.params, batch, { temperature: 0.7 })
      const { logprob, entropy } = await scores.read()
      scores.dispose()
      return logprob.reduce((sum, lp, i) => sum + weights[i]! * (lp + 0.01 * entropy[i]!), 0)
    }
    const analytic = await gradients(model, [batch])
    for (const { name } of model.params.tensorSpecs()) {
      const exported = model.params.exportTensors().find((t) => t.name === name)!
      const values = await exported.read()
      const grad = analytic.get(name)!
      // along the gradient: one number a tensor, large enough to stand out of fp32's rounding
      const norm = Math.sqrt(grad.reduce((sum, g) => sum + g * g, 0))
      if (norm < 1e-6) continue
      const step = 2e-2 / Math.max(1, norm)
      const at = async (sign: number) => {
        model.params.importTensor(
          name,
          values.map((v, i) => v + (sign * step * grad[i]!) / norm),
        )
        model.params.refresh()
        return loss()
      }
      const numeric = ((await at(1)) - (await at(-1))) / (2 * step)
      model.params.importTensor(name, values)
      model.params.refresh()
      assert.ok(Math.abs(numeric - norm) <= 0.02 * norm + 1e-4, `${name}: numeric ${numeric}, analytic ${norm}`)
    }
    model.dispose()
  })
}

test('log-probs do not depend on what else is in the batch, bit for bit', async () => {
  const sequences = [17, 1, 33, 5, 64, 2, 40].map((n, i) => tokens(n, i))
  for (const dtype of ['f32', 'bf16'] as const) {
    const model = createModel(families.qwen2!, { device: 'cpu', dtype, seed: 4 })
    const together = await model.logprobs(sequences)
    const apart = await model.logprobs(sequences, { tokensPerBatch: 1 })
    assert.equal(together, apart)
    model.dispose()
  }
})

test('an empty batch and empty sequences are fine', async () => {
  const model = createModel(base, { device: 'cpu', dtype: 'f32' })
  assert.equal(await model.logprobs([]), [])
  assert.equal(
    (await model.logprobs([[], [3]])).map((r) => [...r]),
    [[], [0]],
  )
  const nothing = await gradients(model, [packGroups([{ prompt: tokens(5, 1), completions: [{ tokens: [] }] }])])
  for (const grad of nothing.values()) assert.ok(grad.every((g) => g === 0))
  model.dispose()
})

test('tokens that the model does not have are an error', async () => {
  const model = createModel(base, { device: 'cpu', dtype: 'f32' })
  for (const bad of [[61], [-1], [1.5], [Number.NaN]]) {
    try {
      await model.logprobs([bad])
      assert.unreachable()
    } catch (error) {
      assert.is((error as { code: string }).code, 'ERR_RANGE')
    }
  }
  model.dispose()
})

test('training steps leave no tensors behind', async () => {
  const before = device('cpu').memory().tensors
  const model = createModel(base, { device: 'cpu', dtype: 'f32' })
  const batch = packSequences([{ tokens: tokens(20, 1) }])
  await gradients(model, [batch])
  const after = device('cpu').memory()
  for (let i = 0; i < 5; i++) await gradients(model, [batch], i % 2 === 1)
  assert.is(device('cpu').memory().tensors, after.tensors)
  assert.is(device('cpu').memory().allocated, after.allocated)
  model.dispose()
  assert.is(device('cpu').memory().tensors, before)
})

test.run()
