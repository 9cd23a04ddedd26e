// A plan as people read it, and the refusal of one that does not fit.

import { fail } from '../../errors.js'
import type { Advice, Change, DeviceCount } from '../../train/plan/fit.js'
import { bytes, duration } from '../ui/format.js'
import { dim } from '../ui/style.js'
import { pairs, table } from '../ui/table.js'
import type { Plan } from './plan.js'

const count = (value: number) => Math.round(value).toLocaleString('en-US')
function billions(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} B`
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : `${(value / 1e3).toFixed(1)} k`
}

const partNames = {
  masters: 'fp32 master weights',
  copies: 'compute copies, forward and backward',
  reference: 'frozen reference (beta > 0)',
  gradients: 'gradients, fp32',
  moments: 'both moments of AdamW, fp32',
  activations: 'activations of a microbatch',
  kv: 'keys and values of rollouts',
} as const

/** Prints a plan; `--json` prints the plan itself. */
export function printPlan(plan: Plan): void {
  const { length, tokens, memory } = plan
  console.log(
    pairs([
      ['model', `${plan.model} (${plan.architecture}): ${billions(plan.parameters)} parameters, ${plan.dtype}`],
      ['data', plan.data],
      ...(plan.heldOut ? [['held out', plan.heldOut] as const] : []),
      ...(plan.examples !== null ? [['examples', examplesText(plan)] as const] : []),
      ['steps', length ? stepsText(length) : 'unknown'],
      ['prompt', `${count(plan.promptTokens.value)} tokens on average (${plan.promptTokens.how})`],
      ['answer', `${count(plan.completionTokens.value)} tokens on average (${plan.completionTokens.how})`],
    ]),
  )
  if (tokens) {
    const rows = [
      ['prompts computed for rollouts', tokens.prefilled],
      ['drawn', tokens.drawn],
      ['through the frozen reference', tokens.reference],
      ['trained on, forward and backward', tokens.trained],
      ['in all, as num_tokens counts', tokens.counted],
    ] as const
    console.log(
      `\n${table(
        ['tokens', ''],
        rows.filter(([, n]) => n > 0).map(([name, n]) => [name, count(n)]),
      )}`,
    )
  }
  const parts = Object.entries(partNames).map(([key, name]) => [name, memory[key as keyof typeof partNames]] as const)
  const rows = [...parts.filter(([, size]) => size > 0), ['needed', memory.total] as const]
  console.log(
    `\n${table(
      ['memory of the device', ''],
      rows.map(([name, size]) => [name, bytes(size)]),
    )}\n`,
  )
  console.log(
    pairs([
      ...(plan.answersAtOnce !== null
        ? [['at once', `${count(plan.answersAtOnce)} answers of full length`] as const]
        : []),
      ['time', timeText(plan)],
      ...(plan.deviceMemory !== null ? [['device', fitText(plan, plan.deviceMemory)] as const] : []),
    ]),
  )
  for (const note of plan.notes) console.log(dim(`  ${note}`))
}

const examplesText = ({ examples, examplesFrom }: Plan) =>
  `${count(examples ?? 0)}${examplesFrom === null ? '' : ` (${examplesFrom})`}`

function stepsText({ generations, updates }: { generations: number | null; updates: number }): string {
  return generations === null
    ? `${count(updates)} updates`
    : `${count(updates)} updates in ${count(generations)} generations`
}

function timeText({ throughput, seconds }: Plan): string {
  if (throughput === null) return 'unknown; --throughput N states the tokens of a second'
  return seconds === null ? 'unknown' : `${duration(seconds)} at ${count(throughput)} tokens/s`
}

const fitText = ({ memory, advice }: Plan, device: number) =>
  advice ? `${bytes(device)}: does not fit` : `${bytes(device)}: fits, ${bytes(device - memory.total)} stay free`

/**
 * Ends the command where the run does not fit, saying what would.
 *
 * @throws Error `ERR_MEMORY`
 */
export function refuseUnfit({ memory, advice, deviceMemory }: Plan): void {
  if (!advice || deviceMemory === null) return
  fail(
    'Error',
    'ERR_MEMORY',
    `[plan] expected a run that fits into ${bytes(deviceMemory)}, got one that needs ${bytes(memory.total)} (and 5 % to spare); ${whatWould(advice)}`,
  )
}

/** What would fit, in words. */
function whatWould({ changes, smallerModel, deviceMemory, devices }: Advice): string {
  const settings = changes && settingsText(changes)
  const changing = changes?.filter(({ changesResult }) => changesResult).map(({ key }) => key) ?? []
  return [
    settings &&
      `it fits with ${settings}${changing.length > 0 ? ` (${changing.join(', ')} would change the result)` : ''}`,
    `a device of ${bytes(deviceMemory)} would hold it as it is`,
    smallerModel && `${smallerModel} would fit into this one, at most with settings that change memory alone`,
    !changes && devices.length > 0 && devicesText(devices),
  ]
    .filter(Boolean)
    .join('; ')
}

const settingsText = (changes: readonly Change[]) => changes.map(({ key, value }) => `${key}: ${value}`).join(', ')

/** "5 of these devices could as it is, 3 with tokensPerMicrobatch: 12288, …": every number with what it assumes. */
function devicesText(devices: readonly DeviceCount[]): string {
  const [first, ...others] = devices.map(
    ({ devices: n, changes }, i) =>
      `${n}${i === 0 ? ' of these devices could' : ''} ${changes.length === 0 ? 'as it is' : `with ${settingsText(changes)}`}`,
  )
  const counts = [first, ...others].join(', ')
  return `${counts}, had each a part of weights, gradients and moments, which this version does not split`
}
