import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Model } from '../../lib/model.js'
import { parseGRPOConfig } from '../../lib/train/config.js'
import type { Sample, SampleGroup } from '../../lib/train/generation.js'
import { accumulateGradients, scoreSamples } from '../../lib/train/policy-gradient.js'
import { tinyModel } from './support.js'

const sample = (tokens: number[], advantage: number, counted = true): Sample => ({
  tokens: Int32Array.from(tokens),
  finishReason: 'stop',
  sampled: null,
  old: Float32Array.from(tokens, (t) => -3.9 - 0.02 * (t % 5)),
  reference: Float32Array.from(tokens, (t) => -4.1 + 0.03 * (t % 3)),
  reward: 0,
  advantage,
  counted,
})

/** A prompt of 1 token, an empty completion, one that does not count, groups of unequal size. */
const groups = (): SampleGroup[] => [
  { example: 0, prompt: Int32Array.of(7), samples: [sample([3, 4, 5], 1), sample([], -0.5), sample([9], -0.5)] },
  {
    example: 1,
    prompt: Int32Array.of(1, 2, 3, 4, 5, 6),
    samples: [sample([8, 9, 10, 11], 0.7), sample([12, 13], -0.3, false), sample([14, 15, 16], -0.4)],
  },
  { example: 2, prompt: Int32Array.of(20, 21), samples: [sample([22], 0.9)] },
]

/** Each completion with a prompt of its own: nothing is shared. */
const apart = (shared: SampleGroup[]): SampleGroup[] =>
  shared.flatMap(({ samples, ...group }) => samples.map((own) => ({ ...group, samples: [own] })))

async function gradients(
  model: Model,
  batch: SampleGroup[],
  tokensPerMicrobatch: number,
  lossType: 'grpo' | 'dapo' | 'vespo',
) {
  const config = parseGRPOConfig({ lossType, beta: 0.1, tokensPerMicrobatch, maxCompletionLength: 8, temperature: 0.8 })
  model.params.zeroGrad()
  const result = await accumulateGradients(model.params, batch, config)
  const grads = new Map<string, Float32Array>()
  for (const { name } of model.params.tensorSpecs()) grads.set(name, await model.params.readGrad(name))
  return { ...result, grads }
}

type Result = Awaited<ReturnType<typeof gradients>>

/** The largest difference of any gradient, relative to the largest gradient of its tensor. */
function distance(a: Result, b: Result): number {
  let worst = Math.abs(a.loss - b.loss) / Math.abs(b.loss)
  for (const [name, x] of a.grads) {
    const y = b.grads.get(name)!
    const scale = y.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6)
    for (let i = 0; i < x.length; i++) worst = Math.max(worst, Math.abs(x[i]! - y[i]!) / scale)
  }
  return worst
}

for (const lossType of ['grpo', 'dapo', 'vespo'] as const) {
  test(`${lossType}: microbatches and shared prompts change gradients by rounding only`, async () => {
    const model = tinyModel()
    const whole = await gradients(model, groups(), 4096, lossType)
    assert.ok(whole.loss !== 0)
    for (const budget of [1, 8, 13]) {
      const cut = await gradients(model, groups(), budget, lossType)
      assert.ok(distance(cut, whole) < 1e-5, `${budget}: ${distance(cut, whole)}`)
      assert.is(cut.sums.tokens, 12)
      assert.is(cut.sums.completions, 7)
    }
    const separate = await gradients(model, apart(groups()), 4096, lossType)
    assert.ok(distance(separate, whole) < 1e-5, `apart: ${distance(separate, whole)}`)
    model.dispose()
  })
}

test('groups without a signal change metrics only, and cost no backward pass', async () => {
  const model = tinyModel()
  const config = parseGRPOConfig({ beta: 0, maxCompletionLength: 8 })
  const taught = groups()
  const silent: SampleGroup = {
    example: 3,
    prompt: Int32Array.of(5, 6),
    samples: [sample([30, 31], 0), sample([32], 0)],
  }
  const run = async (batch: SampleGroup[], share: number) => {
    model.params.zeroGrad()
    const { loss, sums, culprit } = await accumulateGradients(model.params, batch, config)
    assert.is(culprit, null)
    // The loss is a mean over tokens, of which the silent group has three.
    const grad = (await model.params.readGrad('model.norm.weight')).map((g) => g * share)
    return { loss: loss * share, tokens: sums.tokens, entropy: sums.entropy, grad }
  }
  const without = await run(taught, 12)
  const withIt = await run([silent, ...groups()], 15)
  assert.is(withIt.tokens, without.tokens + 3)
  assert.ok(withIt.entropy > without.entropy + 3)
  assert.ok(Math.abs(withIt.loss - without.loss) < 1e-5)
  assert.ok(withIt.grad.every((g, i) => Math.abs(g - without.grad[i]!) < 1e-5))
  model.dispose()
})

test('scores come back to the samples they belong to, however they are cut', async () => {
  const model = tinyModel()
  const config = { ...parseGRPOConfig({ maxCompletionLength: 8 }) }
  const collect = async (tokensPerMicrobatch: number) => {
    const batch = groups()
    const scores = new Map<Sample, number[]>()
    await scoreSamples(model.params, batch, { ...config, tokensPerMicrobatch }, (s, lp) =>
      scores.set(s, Array.from(lp)),
    )
    return batch.flatMap(({ samples }) => samples.map((s) => scores.get(s)))
  }
  const whole = await collect(4096)
  assert.equal(
    whole.map((lp) => lp?.length),
    [3, undefined, 1, 4, undefined, 3, 1],
  )
  assert.equal(await collect(8), whole)
  const direct = await model.logprobs(groups().map(({ prompt, samples }) => [...prompt, ...samples[0]!.tokens]))
  for (const [i, g] of [0, 3, 6].entries()) {
    const expected = Array.from(direct[i]!.slice(-whole[g]!.length))
    for (const [t, lp] of whole[g]!.entries()) assert.ok(Math.abs(lp - expected[t]!) < 1e-5)
  }
  model.dispose()
})

test('what is not finite is named, and stops the accumulation', async () => {
  const model = tinyModel()
  const batch = groups()
  batch[1]!.samples[0]!.reference![2] = Number.POSITIVE_INFINITY
  assert.match((await gradients(model, batch, 4096, 'dapo')).culprit!, /log-prob of the reference model is Infinity/)
  const other = groups()
  other[0]!.samples[0]!.advantage = Number.NaN
  assert.match((await gradients(model, other, 4096, 'dapo')).culprit!, /advantage is NaN/)
  model.dispose()
})

test.run()
