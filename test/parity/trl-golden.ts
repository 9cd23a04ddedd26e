import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { grpoLoss, totalsOf } from '../../lib/train/losses/grpo.js'
import { lossMetrics } from '../../lib/train/losses/metrics.js'
import * as onDevice from '../../lib/train/losses/on-device.js'
import type { LossInput, LossSettings, LossType } from '../../lib/train/losses/types.js'
import type { FamilyResult, ParityOptions } from './result.js'

/** TRL 1.13's losses, gradients and metrics on given log-probs: everything within 1e-6, the trainer's and the op's. */
export const families = ['trl_golden']

const tolerance = 1e-6

interface Golden {
  inputs: Record<'logp' | 'old' | 'ref' | 'mask' | 'isr', number[][]> & { adv: number[] }
  cases: GoldenCase[]
}

interface GoldenCase {
  loss_type: LossType
  level: 'token' | 'sequence'
  beta: number
  delta: number | null
  bias_kl: boolean
  tis: boolean
  eager: number
  grad: number[][]
  metrics: Record<string, number>
}

export async function run(root: string, { device }: Pick<ParityOptions, 'device'>): Promise<FamilyResult[]> {
  const path = join(root, 'trl_golden.json')
  if (!existsSync(path)) return []
  const golden: Golden = JSON.parse(readFileSync(path, 'utf8'))
  const result: FamilyResult = { family: 'trl_golden', cases: 0, failed: 0, max_error: 0, messages: [] }
  for (const expected of golden.cases) {
    const [settings, input] = [settingsOf(expected), inputOf(golden.inputs, expected)]
    const errors = [
      largestError(onVectors(input, settings), expected),
      largestError(await onTensors(input, settings, device), expected, `op on ${device}, `),
    ]
    result.cases++
    for (const { value } of errors) result.max_error = Math.max(result.max_error, value)
    const wrong = errors.find(({ value }) => value > tolerance)
    if (!wrong) continue
    result.failed++
    result.messages.push(`trl_golden: ${name(expected)}: ${wrong.where} is off by ${wrong.value}`)
  }
  return [result]
}

interface Outcome {
  loss: number
  dLogprob: Float32Array
  metrics: Record<string, number>
}

/** By the trainer's function. */
function onVectors(input: LossInput, settings: LossSettings): Outcome {
  const { loss, dLogprob, sums } = grpoLoss(input, settings)
  return { loss, dLogprob, metrics: lossMetrics(sums, settings) }
}

/** By the op; the loss is the sum of what it says of each token. */
async function onTensors(input: LossInput, settings: LossSettings, device: string): Promise<Outcome> {
  const f32 = (x: ArrayLike<number>) => tensor(Float32Array.from(x), [x.length], { device })
  const inputs = [
    f32(input.logprob),
    tensor(Int32Array.from(input.offsets), [input.offsets.length], { device }),
    f32(input.advantage),
    f32(input.old!),
    f32(input.reference!),
    tensor(Uint8Array.from(input.mask!), [input.mask!.length], { device }),
  ] as const
  const [logprob, offsets, advantage, old, reference, mask] = inputs
  const weight = input.weight ? f32(input.weight) : null
  const options = { ...settings, totals: totalsOf(input), old, reference, mask, weight }
  const outputs = onDevice.grpoLoss(logprob, offsets, advantage, options)
  const read = async (t: Tensor) => (await t.toArray()) as Float32Array
  const [losses, dLogprob, stats] = [await read(outputs.loss), await read(outputs.dLogprob), await read(outputs.stats)]
  for (const t of [...inputs, weight, ...Object.values(outputs)]) t?.dispose()
  const { loss, ...metrics } = onDevice.grpoLossMetrics(stats, settings)
  const sum = losses.reduce((a, b) => a + b, 0)
  return { loss: Math.abs(sum - loss!) < tolerance ? sum : Number.NaN, dLogprob, metrics }
}

/** The largest error of a case and the figure that has it; NaN anywhere is an infinite error. */
function largestError({ loss, dLogprob, metrics }: Outcome, expected: GoldenCase, by = '') {
  const errors: [where: string, value: number][] = [['loss', Math.abs(loss - expected.eager)]]
  expected.grad.flat().forEach((g, t) => {
    errors.push([`gradient ${t}`, Math.abs(dLogprob[t]! - g)])
  })
  for (const [key, value] of Object.entries(expected.metrics)) {
    if (key !== 'entropy') errors.push([key, Math.abs(metrics[key]! - value)])
  }
  let worst = { value: 0, where: '' }
  for (const [where, error] of errors) {
    const value = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error
    if (value >= worst.value) worst = { value, where: by + where }
  }
  return worst
}

function inputOf({ logp, old, ref, mask, isr, adv }: Golden['inputs'], { tis }: GoldenCase): LossInput {
  const length = logp[0]!.length
  return {
    offsets: Array.from({ length: logp.length + 1 }, (_, i) => i * length),
    logprob: logp.flat(),
    old: old.flat(),
    reference: ref.flat(),
    mask: mask.flat(),
    weight: tis ? isr.flat() : null,
    advantage: adv,
  }
}

function settingsOf({ loss_type, level, beta, delta, bias_kl }: GoldenCase): LossSettings {
  return {
    lossType: loss_type,
    importanceSamplingLevel: level,
    epsilon: 0.2,
    epsilonHigh: loss_type === 'cispo' ? 5 : 0.28,
    delta,
    beta,
    useBiasCorrectionKl: bias_kl,
    maxCompletionLength: 7,
    sapoTemperaturePos: 1,
    sapoTemperatureNeg: 1.05,
    vespoKPos: 2,
    vespoLambdaPos: 3,
    vespoKNeg: 3,
    vespoLambdaNeg: 2,
  }
}

const name = (c: GoldenCase) =>
  `${c.loss_type} ${c.level} beta ${c.beta} delta ${c.delta}${c.bias_kl ? ' kl-ratio' : ''}${c.tis ? ' tis' : ''}`
