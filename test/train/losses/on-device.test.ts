import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Tensor, tensor } from '../../../lib/tensor/tensor.js'
import { grpoLoss as onVectors, totalsOf } from '../../../lib/train/losses/grpo.js'
import { lossMetrics } from '../../../lib/train/losses/metrics.js'
import { type GrpoLossOptions, grpoLoss, grpoLossMetrics } from '../../../lib/train/losses/on-device.js'
import type { LossInput, LossSettings, LossTotals, LossType } from '../../../lib/train/losses/types.js'
import { testDevice as device } from '../../support/device.js'
import { randomInput, settings } from './support.js'

const types: LossType[] = ['grpo', 'bnpo', 'dr_grpo', 'dapo', 'cispo', 'sapo', 'luspo', 'vespo']
const lengths = [7, 0, 1, 29, 3, 64, 0, 40]
const f32 = (x: ArrayLike<number>) => tensor(Float32Array.from(x), [x.length], { device })
const i32 = (x: ArrayLike<number>) => tensor(Int32Array.from(x), [x.length], { device })
const u8 = (x: ArrayLike<number>) => tensor(Uint8Array.from(x), [x.length], { device })

/** Vectors of float32 numbers, so that both get the same. */
function rounded(seed: number, of = lengths): LossInput {
  const input = randomInput(of, seed)
  const parts = Object.entries(input).map(([key, x]) => [key, key === 'offsets' ? x : Float32Array.from(x as number[])])
  return Object.fromEntries(parts) as LossInput
}

async function onTensors(input: LossInput, options: LossSettings, totals: LossTotals) {
  const optional = (x: ArrayLike<number> | null | undefined) => (x ? f32(x) : null)
  const given: GrpoLossOptions = {
    ...options,
    totals,
    old: optional(input.old),
    reference: optional(input.reference),
    mask: input.mask ? u8(input.mask) : null,
    weight: optional(input.weight),
  }
  const out = grpoLoss(f32(input.logprob), i32(input.offsets), f32(input.advantage), given)
  const read = async (t: Tensor) => (await t.toArray()) as Float32Array
  return { loss: await read(out.loss), dLogprob: await read(out.dLogprob), stats: await read(out.stats) }
}

function* variants(): Iterable<LossSettings> {
  for (const lossType of types)
    for (const importanceSamplingLevel of ['token', 'sequence'] as const)
      for (const beta of [0, 0.13])
        yield { ...settings, lossType, importanceSamplingLevel, beta, epsilonHigh: lossType === 'cispo' ? 1.1 : 0.28 }
}

const title = (s: LossSettings) => `${s.lossType} ${s.importanceSamplingLevel} beta ${s.beta}`

test('every loss type gives the loss, gradients and metrics of the trainer', async () => {
  for (const variant of variants()) {
    const input = rounded(3)
    const totals = totalsOf(input)
    const expected = onVectors(input, variant, totals)
    const got = await onTensors(input, variant, totals)
    expected.dLogprob.forEach((g, t) => {
      assert.ok(Math.abs(got.dLogprob[t]! - g) <= 1e-6 * Math.max(1, Math.abs(g)), `${title(variant)}: gradient ${t}`)
    })
    const { entropy: _, ...metrics } = lossMetrics(expected.sums, variant)
    const { loss, ...rest } = grpoLossMetrics(got.stats, variant)
    assert.ok(Math.abs(loss! - expected.loss) < 1e-6 * Math.max(1, Math.abs(expected.loss)), title(variant))
    const sum = got.loss.reduce((a, b) => a + b, 0)
    assert.ok(Math.abs(sum - expected.loss) < 1e-5 * Math.max(1, Math.abs(expected.loss)), title(variant))
    assert.equal(Object.keys(rest), Object.keys(metrics))
    for (const [key, value] of Object.entries(metrics))
      assert.ok(Math.abs(rest[key]! - value) < 1e-6 * Math.max(1, value), `${title(variant)}: ${key}`)
  }
})

test('parts of an update, cut between completions, have the bits of the whole', async () => {
  for (const variant of variants()) {
    const whole = rounded(7, [...lengths, 700])
    const totals = totalsOf(whole)
    const all = await onTensors(whole, variant, totals)
    let [tokens, completions] = [0, 0]
    for (const count of [2, 3, 4]) {
      const [start, end] = [whole.offsets[completions]!, whole.offsets[completions + count]!]
      const part = (x: ArrayLike<number> | null | undefined) => (x ? Array.from(x).slice(start, end) : null)
      const got = await onTensors(
        {
          offsets: Array.from(whole.offsets, (x) => x - start).slice(completions, completions + count + 1),
          logprob: part(whole.logprob)!,
          old: part(whole.old),
          reference: part(whole.reference),
          mask: part(whole.mask),
          weight: part(whole.weight),
          advantage: Array.from(whole.advantage).slice(completions, completions + count),
        },
        variant,
        totals,
      )
      assert.equal([...got.loss], [...all.loss.slice(start, end)], title(variant))
      assert.equal([...got.dLogprob], [...all.dLogprob.slice(start, end)], title(variant))
      assert.equal([...got.stats], [...all.stats.slice(7 * completions, 7 * (completions + count))], title(variant))
      completions += count
      tokens = end
    }
    assert.is(tokens, whole.logprob.length)
  }
})

test('settings are those of GRPOConfig, defaults too', async () => {
  const [logprob, offsets, advantage] = [f32([-1, -2]), i32([0, 1, 2]), f32([1, -0.5])]
  const totals = { completions: 2, tokens: 2 }
  const { dLogprob } = grpoLoss(logprob, offsets, advantage, { totals })
  assert.equal([...(await dLogprob.toArray())], [-0.5, 0.25])
  const typo = { totals, epsilonHihg: 0.3 } as GrpoLossOptions
  assert.throws(() => grpoLoss(logprob, offsets, advantage, typo), /did you mean "epsilonHigh"/)
  const empty = { totals: { completions: 2, tokens: -1 } }
  assert.throws(() => grpoLoss(logprob, offsets, advantage, empty), /expected totals.tokens as a count/)
  assert.throws(() => grpoLoss(logprob, offsets, advantage, { totals, beta: 0.1 }), /expected reference because beta/)
  assert.throws(() => grpoLossMetrics([1, 2, 3]), /expected 7 numbers a completion, got 3/)
})

test('gradients may be written over the log-probs', async () => {
  for (const variant of variants()) {
    const input = rounded(5, [2100, 11])
    const expected = await onTensors(input, variant, totalsOf(input))
    const [logprob, old] = [f32(input.logprob), f32(input.old!)]
    const tensors = { old, reference: f32(input.reference!), mask: u8(input.mask!), weight: f32(input.weight!) }
    grpoLoss(logprob, i32(input.offsets), f32(input.advantage), {
      ...variant,
      ...tensors,
      totals: totalsOf(input),
      out: { dLogprob: logprob, loss: old },
    })
    assert.equal([...(await logprob.toArray())], [...expected.dLogprob], title(variant))
    assert.equal([...(await old.toArray())], [...expected.loss], title(variant))
  }
})

test('offsets that do not rise from 0 to T are errors that name the first', async () => {
  const bad: [number[], RegExp][] = [
    [[1, 2, 5], /expected offsets that rise from 0 to 5, got 1 at 0/],
    [[0, 3, 2, 5], /expected offsets that rise from 0 to 5, got 2 at 2/],
    [[0, 9, 5], /expected offsets that rise from 0 to 5, got 9 at 1/],
    [[0, -3, 5], /expected offsets that rise from 0 to 5, got -3 at 1/],
    [[0, 2, 4], /expected offsets that rise from 0 to 5, got 4 at 2/],
    [[-1, 9, -5, 4], /expected offsets that rise from 0 to 5, got -1 at 0/],
  ]
  for (const [offsets, message] of bad) {
    const totals = { completions: offsets.length - 1, tokens: 5 }
    const advantage = f32(new Array(offsets.length - 1).fill(1))
    try {
      const out = grpoLoss(f32([-1, -1, -1, -1, -1]), i32(offsets), advantage, { totals })
      await out.loss.toArray()
      assert.unreachable(`${offsets}: expected an error`)
    } catch (error) {
      assert.match((error as Error).message, message)
      assert.is((error as { code?: string }).code, 'ERR_RANGE')
    }
  }
  const nothing = grpoLoss(f32([]), i32([3]), f32([]), { totals: { completions: 0, tokens: 0 } })
  let message = ''
  await nothing.stats.device.synchronize().catch((error: Error) => {
    message = error.message
  })
  assert.match(message, /expected offsets that rise from 0 to 0, got 3 at 0/)
})

test.run()
