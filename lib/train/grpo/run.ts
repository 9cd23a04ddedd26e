import type { WeightedReward } from '../../reward/types.js'
import type { TrainerState } from '../checkpoint/state.js'
import type { CheckpointContents } from '../checkpoint.js'
import type { GRPOConfig } from '../config.js'
import { drawExamples, skippedNotes } from '../draw.js'
import { type Generation, lengthMetrics, miniBatch, type SampleGroup, tokensSeen } from '../generation.js'
import type { Stepper } from '../loop.js'
import { lossMetrics } from '../losses/metrics.js'
import { mismatchMetrics } from '../losses/mismatch.js'
import { accumulateGradients, scoreSamples } from '../policy-gradient.js'
import type { Reference } from '../reference.js'
import { learningRateAt } from '../schedule.js'
import { saveMasters, stopAtNonFinite } from '../session.js'
import type { TrainerParts } from '../trainer.js'
import { type DrawnPrompt, encodePrompt, type PromptCodec } from './prompts.js'
import { collectSamples, type RolloutSource } from './rollouts.js'
import { scoreGroups } from './score.js'

/** Everything that a run works with, made by `GRPOTrainer`. */
export interface GRPOParts extends TrainerParts<GRPOConfig> {
  rewards: readonly WeightedReward[]
  maxPromptTokens: number
  codec: PromptCodec
  source: RolloutSource
  reference: Reference | null
}

/** Where to look when a figure is not finite. */
const suspects = 'learningRate and maxGradNorm, at the rewards'

/** Where a run stands: what a checkpoint keeps beside weights and moments. */
export interface GRPOProgress {
  step: number
  position: number
  generations: number
  /** Updates made of `buffer`. */
  update: number
  tokensSeen: number
  buffer: Generation | null
}

/** A generation that has not been trained on: nothing of it is part of the run before its first update is. */
interface Fresh {
  generation: Generation
  position: number
  metrics: Record<string, number>
  notes: string[]
  lines: object[]
}

/**
 * GRPO, update by update. One generation of `promptsPerStep` prompts serves `updatesPerGeneration * numIterations` updates.
 *
 * An update that fails leaves the run as it was before it: all state changes at once, right after the optimizer's step.
 */
export class GRPORun implements Stepper {
  constructor(
    private readonly parts: GRPOParts,
    private progress: GRPOProgress,
  ) {}

  get step(): number {
    return this.progress.step
  }

  async update(): Promise<{ metrics: Record<string, number>; notes: string[] }> {
    const { config, model, optimizer, stopwatch, totalSteps, memory } = this.parts
    const fresh = this.progress.buffer ? null : await this.generate()
    const generation = this.progress.buffer ?? fresh!.generation
    const done = this.progress.update
    const groups = miniBatch(generation, done % config.updatesPerGeneration, config.updatesPerGeneration)

    model.params.zeroGrad()
    const gradients = await stopwatch.time('forward_backward', () => accumulateGradients(model.params, groups, config))
    if (gradients.culprit) stopAtNonFinite(this.step, gradients.culprit, suspects)
    const learningRate = learningRateAt(this.step, totalSteps, config)
    const gradNorm = await stopwatch.time('optimizer', () => optimizer.update(learningRate))
    if (!Number.isFinite(gradNorm)) stopAtNonFinite(this.step, `the gradient norm is ${gradNorm}`, suspects)
    this.commit(fresh)

    this.parts.folder.completions((fresh?.lines ?? []).map((line) => ({ step: this.step, ...line })))
    const metrics = {
      loss: gradients.loss,
      grad_norm: gradNorm,
      learning_rate: learningRate,
      epoch: this.epoch(),
      num_tokens: this.progress.tokensSeen,
      ...fresh?.metrics,
      ...lossMetrics(gradients.sums, config),
      ...mismatchMetrics(gradients.mismatch),
      ...memory.metrics(),
    }
    return { metrics, notes: [...(fresh?.notes ?? []), ...noSignalNotes(groups, config), ...memory.notes()] }
  }

  async contents(): Promise<CheckpointContents> {
    const { model, optimizer, config, data, reference, folder, window } = this.parts
    const { buffer, ...progress } = this.progress
    const state: TrainerState = {
      format: 1,
      kind: 'grpo',
      ...progress,
      config,
      data,
      reference: reference?.fingerprint ?? null,
      logs: folder.logs(),
      window: window.state(),
    }
    return {
      state,
      saveModel: (path) => saveMasters(model, path),
      optimizer: optimizer.exportTensors(),
      generation: buffer,
    }
  }

  /** Draws prompts and completions, scores them, and adds what updates need beyond that. Changes nothing of the run. */
  private async generate(): Promise<Fresh> {
    const { config, dataset, order, codec, source, rewards, stopwatch, maxPromptTokens, model } = this.parts
    const { position, generations } = this.progress
    const draw = drawExamples({
      dataset,
      order,
      position,
      count: config.promptsPerStep,
      maxTokens: maxPromptTokens,
      encode: (example, index) => encodePrompt(codec, example, index),
    })
    const prompts = draw.drawn
    const answers = await stopwatch.time('rollout', () => source.draw(prompts, generations))
    const samples = collectSamples(prompts, answers.rollouts, {
      vocabSize: model.config.vocabSize,
      maskTruncated: config.maskTruncatedCompletions,
    })
    const scores = await stopwatch.time('reward', () =>
      scoreGroups(prompts, samples, {
        rewards,
        codec,
        config,
        generation: generations,
        stopTokens: model.config.eosTokenIds,
      }),
    )
    const generation = { index: generations, groups: prompts.map((prompt, i) => groupOf(prompt, samples[i]!)) }
    await this.addOldLogprobs(generation)
    await this.addReferenceLogprobs(generation)
    return {
      generation,
      position: draw.position,
      metrics: { ...scores.metrics, ...lengthMetrics(generation), ...answers.metrics },
      notes: [...skippedNotes(draw.skipped, maxPromptTokens), ...scores.notes],
      lines: scores.lines,
    }
  }

  /**
   * The first mini-batch is on-policy: its update needs no old log-probs, and leaves its own for later ones. The others are updated
   * after the weights have moved, so theirs are fixed now: the sampler's own where it is this model, else a forward pass.
   */
  private async addOldLogprobs(generation: Generation): Promise<void> {
    const { config, model, source, stopwatch } = this.parts
    const parts = config.updatesPerGeneration
    const later = Array.from({ length: parts - 1 }, (_, i) => miniBatch(generation, i + 1, parts)).flat()
    if (!source.external) {
      for (const { samples } of later) for (const sample of samples) sample.old = sample.sampled
      return
    }
    await stopwatch.time('old_logprob', () =>
      scoreSamples(model.params, later, config, (sample, logprob) => {
        sample.old = logprob
      }),
    )
  }

  private async addReferenceLogprobs({ groups }: Generation): Promise<void> {
    const { config, reference, stopwatch } = this.parts
    if (!reference) return
    await stopwatch.time('reference', () =>
      scoreSamples(reference.params, groups, config, (sample, logprob) => {
        sample.reference = logprob
      }),
    )
  }

  /** One update more. Synchronous, so that no checkpoint can fall between its lines. */
  private commit(fresh: Fresh | null): void {
    const { config } = this.parts
    const before = this.progress
    const buffer = before.buffer ?? fresh!.generation
    const update = before.update + 1
    const finished = update === config.updatesPerGeneration * config.numIterations
    this.progress = {
      step: before.step + 1,
      position: fresh?.position ?? before.position,
      generations: before.generations + (fresh ? 1 : 0),
      update: finished ? 0 : update,
      tokensSeen: before.tokensSeen + (fresh ? tokensSeen(fresh.generation) : 0),
      buffer: finished ? null : buffer,
    }
  }

  /** Passes over the data set, counting a generation's prompts evenly over its updates. */
  private epoch(): number {
    const { config, order } = this.parts
    const { position, update } = this.progress
    const updates = config.updatesPerGeneration * config.numIterations
    const remaining = update === 0 ? 0 : 1 - update / updates
    return (position - remaining * config.promptsPerStep) / order.size
  }
}

const groupOf = (prompt: DrawnPrompt, samples: SampleGroup['samples']): SampleGroup => ({
  example: prompt.index,
  prompt: prompt.tokens,
  samples,
})

/** Why a loss reads 0, where that is because there was nothing to compare. */
function noSignalNotes(groups: readonly SampleGroup[], { beta }: GRPOConfig): string[] {
  if (groups.some(({ samples }) => samples.some(({ advantage, counted }) => advantage !== 0 && counted))) return []
  const all = groups.length === 1 ? 'The only group' : `Each of the ${groups.length} groups`
  const effect = beta > 0 ? 'only the KL term has a gradient' : 'the loss is 0 and this step teaches nothing'
  return [`${all} had equal rewards (or none that counts), so every advantage is 0: ${effect}.`]
}
