import { type ForwardOptions, forwardLogprobs } from '../nn/forward.js'
import type { ParamStore } from '../nn/params.js'
import type { GRPOConfig } from './config.js'
import { type Microbatch, microbatches, type Sample, type SampleGroup, totalsOf } from './generation.js'
import { grpoLoss } from './losses/grpo.js'
import { addSums, emptySums, type LossSums } from './losses/metrics.js'
import { addMismatch, emptyMismatch, type MismatchSums, mismatchWeights } from './losses/mismatch.js'
import type { LossInput, LossTotals } from './losses/types.js'

export interface Gradients {
  /** Loss of the whole update. */
  loss: number
  sums: LossSums
  mismatch: MismatchSums
  /** Which figure was not finite, in words; null where all were. Gradients are then incomplete. */
  culprit: string | null
}

/**
 * Adds the gradients of one update's loss to `params`, microbatch after microbatch.
 *
 * A sample whose `old` is null is on-policy: its ratio is 1, and it gets the log-probs of this pass as its `old` for the updates to come.
 */
export async function accumulateGradients(
  params: ParamStore,
  groups: readonly SampleGroup[],
  config: GRPOConfig,
): Promise<Gradients> {
  const totals = totalsOf(groups)
  const out: Gradients = { loss: 0, sums: emptySums(), mismatch: emptyMismatch(), culprit: null }
  const teaching = groups.filter((group) => hasSignal(group, config))
  const silent = groups.filter((group) => !hasSignal(group, config))
  for (const [part, train] of [
    [teaching, true],
    [silent, false],
  ] as const) {
    for (const microbatch of microbatches(part, config.tokensPerMicrobatch)) {
      const scores = forwardLogprobs(params, microbatch.batch, forwardOptions(config, train))
      try {
        const dLogprob = addLoss(out, microbatch, await scores.read(), config, totals)
        if (out.culprit) return out
        if (train) scores.backward(dLogprob)
      } finally {
        scores.dispose()
      }
    }
  }
  addSums(out.sums, grpoLoss(withoutTokens(groups), config, totals).sums)
  return out
}

/**
 * Every loss is linear in the advantage: a group whose advantages are all 0 has gradients by its KL term only. Without one it runs
 * forward, for the metrics, but not backward.
 */
function hasSignal({ samples }: SampleGroup, { beta }: GRPOConfig): boolean {
  return beta > 0 || samples.some(({ advantage, counted }) => counted && advantage !== 0)
}

/** Adds the loss and metrics of a microbatch, and returns d loss / d log-prob. */
function addLoss(
  out: Gradients,
  { samples, batch: { offsets } }: Microbatch,
  { logprob, entropy }: { logprob: Float32Array; entropy: Float32Array },
  config: GRPOConfig,
  totals: LossTotals,
): Float32Array {
  const onPolicy = samples.every((sample) => sample.old === null)
  samples.forEach((sample, i) => {
    sample.old ??= logprob.slice(offsets[i]!, offsets[i + 1]!)
  })
  const old = join(samples, (sample) => sample.old)!
  const weight = mismatchOf(samples, offsets, old, config, out.mismatch)
  const reference = join(samples, (sample) => sample.reference)
  const advantage = samples.map((sample) => sample.advantage)
  const input: LossInput = { offsets, logprob, old: onPolicy ? null : old, reference, advantage, weight, entropy }
  const { loss, dLogprob, sums } = grpoLoss(input, config, totals)
  out.loss += loss
  addSums(out.sums, sums)
  if (!Number.isFinite(loss)) out.culprit = nameCulprit(input)
  return dLogprob
}

function nameCulprit(input: LossInput): string {
  const named = {
    'log-prob of the model': input.logprob,
    'log-prob of the reference model': input.reference,
    'log-prob of the sampler': input.old,
    'mismatch weight': input.weight,
    advantage: input.advantage,
  }
  for (const [name, values] of Object.entries(named)) {
    const bad = Array.from(values ?? []).find((value) => !Number.isFinite(value))
    if (bad !== undefined) return `a ${name} is ${bad}`
  }
  return 'the loss is not finite though log-probs and advantages are (a ratio overflowed)'
}

/** Runs a forward pass without gradients over samples and hands each its log-probs. */
export async function scoreSamples(
  params: ParamStore,
  groups: readonly SampleGroup[],
  config: GRPOConfig,
  store: (sample: Sample, logprob: Float32Array) => void,
): Promise<void> {
  for (const { samples, batch } of microbatches(groups, config.tokensPerMicrobatch)) {
    const scores = forwardLogprobs(params, batch, forwardOptions(config, false))
    const { logprob } = await scores.read()
    scores.dispose()
    samples.forEach((sample, i) => {
      store(sample, logprob.slice(batch.offsets[i]!, batch.offsets[i + 1]!))
    })
  }
}

function forwardOptions({ temperature, gradientCheckpointing }: GRPOConfig, train: boolean): ForwardOptions {
  return { temperature, train, checkpointActivations: gradientCheckpointing }
}

/** Weights for what sampler and trainer disagree on; compared only where `old` is not the sampler's own vector. */
function mismatchOf(
  samples: readonly Sample[],
  offsets: Int32Array,
  old: Float32Array,
  config: GRPOConfig,
  sums: MismatchSums,
): Float32Array | null {
  const sampled = join(samples, (sample) => sample.sampled)
  if (!sampled || samples.some((sample) => sample.old === sample.sampled)) return null
  const result = mismatchWeights({ offsets, old, sampled }, config.importanceSamplingMode, config.importanceSamplingCap)
  addMismatch(sums, result.sums)
  return result.weight
}

/** Completions of no token that counts: they are in no microbatch, but are completions of the update. */
function withoutTokens(groups: readonly SampleGroup[]) {
  const empty = groups.flatMap(({ samples }) =>
    samples.filter(({ counted, tokens }) => !counted || tokens.length === 0),
  )
  const offsets = new Int32Array(empty.length + 1)
  return { offsets, logprob: [], old: null, reference: [], advantage: empty.map(({ advantage }) => advantage) }
}

/** The samples' vectors back to back, or null if any is missing. */
function join(samples: readonly Sample[], vector: (sample: Sample) => Float32Array | null): Float32Array | null {
  const parts: Float32Array[] = []
  for (const sample of samples) {
    const part = vector(sample)
    if (!part) return null
    parts.push(part)
  }
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
