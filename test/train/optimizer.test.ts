import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { write } from '../../lib/tensor/tensor.js'
import { AdamW, type OptimizerSettings } from '../../lib/train/optimizer.js'
import { tinyModel } from './support.js'

const settings: OptimizerSettings = {
  adamBeta1: 0.9,
  adamBeta2: 0.99,
  adamEpsilon: 1e-8,
  weightDecay: 0.1,
  maxGradNorm: 1,
}

/** Gradients that differ by element and update, the same on every machine. */
const gradientAt = (bucket: number, i: number, update: number) => Math.sin(1 + bucket + 0.37 * i + 1.7 * update) / 50

test('updates are those of AdamW in fp64: global-norm clipping, bias correction, decay on matrices only', async () => {
  const model = tinyModel()
  const { buckets } = model.params
  assert.equal(buckets.map(({ decay }) => decay).sort(), [false, true])
  model.params.zeroGrad()
  const optimizer = new AdamW(model.params, settings)
  const expected = await Promise.all(
    buckets.map(async ({ master }) => Float64Array.from(await master.toFloat32Array())),
  )
  const first = expected.map((w) => new Float64Array(w.length))
  const second = expected.map((w) => new Float64Array(w.length))
  for (let update = 1; update <= 3; update++) {
    const lr = 0.01 / update
    const grads = expected.map((w, b) => Float32Array.from(w, (_, i) => gradientAt(b, i, update)))
    for (const [b, grad] of grads.entries()) write(buckets[b]!.grad!, grad)
    const norm = Math.sqrt(grads.reduce((sum, grad) => grad.reduce((s, g) => s + g * g, sum), 0))
    assert.ok(norm > settings.maxGradNorm, 'the test must clip')
    const scale = Math.min(1, settings.maxGradNorm / (norm + 1e-6))
    const got = await optimizer.update(lr)
    assert.ok(Math.abs(got - norm) < 1e-5 * norm, `${got} and ${norm}`)
    for (const [b, w] of expected.entries()) {
      for (let i = 0; i < w.length; i++) {
        const g = grads[b]![i]! * scale
        if (buckets[b]!.decay) w[i]! *= 1 - lr * settings.weightDecay
        first[b]![i] = settings.adamBeta1 * first[b]![i]! + (1 - settings.adamBeta1) * g
        second[b]![i] = settings.adamBeta2 * second[b]![i]! + (1 - settings.adamBeta2) * g * g
        const m = first[b]![i]! / (1 - settings.adamBeta1 ** update)
        const v = second[b]![i]! / (1 - settings.adamBeta2 ** update)
        w[i]! -= (lr * m) / (Math.sqrt(v) + settings.adamEpsilon)
      }
    }
  }
  for (const [b, { master }] of buckets.entries()) {
    const got = await master.toFloat32Array()
    const worst = got.reduce((most, w, i) => Math.max(most, Math.abs(w - expected[b]![i]!)), 0)
    assert.ok(worst < 1e-6, `bucket ${b}: ${worst}`)
  }
  model.dispose()
  optimizer.dispose()
})

test('maxGradNorm 0 clips nothing', async () => {
  const model = tinyModel()
  model.params.zeroGrad()
  const optimizer = new AdamW(model.params, {
    ...settings,
    maxGradNorm: 0,
    adamBeta1: 0,
    adamBeta2: 0,
    adamEpsilon: 1,
    weightDecay: 0,
  })
  const { master, grad } = model.params.buckets[0]!
  const before = await master.toFloat32Array()
  write(grad!, new Float32Array(grad!.size).fill(3))
  await optimizer.update(0.5)
  // With both moments forgetting at once and eps 1 the step is lr * g / (|g| + 1).
  const after = await master.toFloat32Array()
  assert.ok(after.every((w, i) => Math.abs(w - (before[i]! - (0.5 * 3) / 4)) < 1e-6))
  model.dispose()
  optimizer.dispose()
})

test('a gradient that is not finite changes nothing and is returned as the norm', async () => {
  const model = tinyModel()
  model.params.zeroGrad()
  const optimizer = new AdamW(model.params, settings)
  const { master, grad } = model.params.buckets[0]!
  const before = await master.toFloat32Array()
  const bad = new Float32Array(grad!.size)
  bad[5] = Number.NaN
  write(grad!, bad)
  const { version } = model.params
  assert.ok(Number.isNaN(await optimizer.update(0.5)))
  assert.equal(await master.toFloat32Array(), before)
  assert.is(model.params.version, version)
  model.dispose()
  optimizer.dispose()
})

test.run()
