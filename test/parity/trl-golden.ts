import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { grpoLoss } from '../../lib/train/losses/grpo.js'
import { lossMetrics } from '../../lib/train/losses/metrics.js'
import type { LossInput, LossSettings, LossType } from '../../lib/train/losses/types.js'
import type { FamilyResult } from './result.js'

/** TRL 1.13's losses, gradients and metrics on given log-probs: everything within 1e-6. */
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

export async function run(root: string): Promise<FamilyResult[]> {
  const path = join(root, 'trl_golden.json')
  if (!existsSync(path)) return []
  const golden: Golden = JSON.parse(readFileSync(path, 'utf8'))
  const result: FamilyResult = { family: 'trl_golden', cases: 0, failed: 0, max_error: 0, messages: [] }
  for (const golden_ of golden.cases) {
    const error = compare(golden.inputs, golden_)
    result.cases++
    result.max_error = Math.max(result.max_error, error.value)
    if (error.value <= tolerance) continue
    result.failed++
    result.messages.push(`trl_golden: ${name(golden_)}: ${error.where} is off by ${error.value}`)
  }
  return [result]
}

/** The largest error of a case and the figure that has it; NaN anywhere is an infinite error. */
function compare(inputs: Golden['inputs'], expected: GoldenCase): { value: number; where: string } {
  const settings = settingsOf(expected)
  const { loss, dLogprob, sums } = grpoLoss(inputOf(inputs, expected), settings)
  const got = lossMetrics(sums, settings)
  const errors: [where: string, value: number][] = [['loss', Math.abs(loss - expected.eager)]]
  expected.grad.flat().forEach((g, t) => {
    errors.push([`gradient ${t}`, Math.abs(dLogprob[t]! - g)])
  })
  for (const [key, value] of Object.entries(expected.metrics)) {
    if (key !== 'entropy') errors.push([key, Math.abs(got[key]! - value)])
  }
  let worst = { value: 0, where: '' }
  for (const [where, error] of errors) {
    const value = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error
    if (value >= worst.value) worst = { value, where }
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
