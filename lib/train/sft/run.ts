import { type ItemizedBatch, packSequences, planSequences } from '../../batch.js'
import { forwardLogprobs } from '../../nn/forward.js'
import type { TrainerState } from '../checkpoint/state.js'
import type { CheckpointContents } from '../checkpoint.js'
import type { SFTConfig } from '../config.js'
import { drawExamples, skippedNotes } from '../draw.js'
import type { Stepper } from '../loop.js'
import { sftLoss } from '../losses/sft.js'
import { learningRateAt } from '../schedule.js'
import { saveMasters, stopAtNonFinite } from '../session.js'
import type { TrainerParts } from '../trainer.js'
import type { Lesson, LessonEncoder } from './encode.js'

/** Everything that a run works with, made by `SFTTrainer`. */
export interface SFTParts extends TrainerParts<SFTConfig> {
  maxTokens: number
  encode: LessonEncoder
}

/** Where to look when a figure is not finite. */
const suspects = 'learningRate and maxGradNorm'

/** Where a run stands. */
export interface SFTProgress {
  step: number
  position: number
  tokensSeen: number
}

interface Gradients {
  loss: number
  /** Mean over the learned tokens. */
  entropy: number
}

/** Supervised training, update by update: `examplesPerStep` examples, packed, loss on the replies only. */
export class SFTRun implements Stepper {
  constructor(
    private readonly parts: SFTParts,
    private progress: SFTProgress,
  ) {}

  get step(): number {
    return this.progress.step
  }

  async update(): Promise<{ metrics: Record<string, number>; notes: string[] }> {
    const { config, model, optimizer, order, stopwatch, totalSteps, maxTokens, memory } = this.parts
    const draw = this.draw()
    model.params.zeroGrad()
    const { loss, entropy } = await stopwatch.time('forward_backward', () => this.accumulate(draw.drawn))
    if (!Number.isFinite(loss)) stopAtNonFinite(this.step, `the loss is ${loss}`, suspects)
    const learningRate = learningRateAt(this.step, totalSteps, config)
    const gradNorm = await stopwatch.time('optimizer', () => optimizer.update(learningRate))
    if (!Number.isFinite(gradNorm)) stopAtNonFinite(this.step, `the gradient norm is ${gradNorm}`, suspects)
    const tokens = draw.drawn.reduce((sum, lesson) => sum + lesson.tokens.length, 0)
    const { step, tokensSeen } = this.progress
    this.progress = { step: step + 1, position: draw.position, tokensSeen: tokensSeen + tokens }

    const metrics = {
      loss,
      grad_norm: gradNorm,
      learning_rate: learningRate,
      entropy,
      epoch: draw.position / order.size,
      num_tokens: this.progress.tokensSeen,
      ...memory.metrics(),
    }
    return { metrics, notes: [...skippedNotes(draw.skipped, maxTokens), ...memory.notes()] }
  }

  async contents(): Promise<CheckpointContents> {
    const { model, optimizer, config, data, folder, window } = this.parts
    const state: TrainerState = {
      format: 1,
      kind: 'sft',
      ...this.progress,
      generations: 0,
      update: 0,
      config,
      data,
      reference: null,
      logs: folder.logs(),
      window: window.state(),
    }
    return {
      state,
      saveModel: (path) => saveMasters(model, path),
      optimizer: optimizer.exportTensors(),
      generation: null,
    }
  }

  private draw() {
    const { dataset, order, config, encode, maxTokens } = this.parts
    const { position } = this.progress
    return drawExamples({ dataset, order, position, count: config.examplesPerStep, maxTokens, encode })
  }

  /** Sums the gradients of one update into the parameters. */
  private async accumulate(lessons: readonly Lesson[]): Promise<Gradients> {
    const { params } = this.parts.model
    const { tokensPerMicrobatch, gradientCheckpointing } = this.parts.config
    // The first token of a sequence is never predicted, whatever the mask says.
    const learned = lessons.reduce((sum, { mask }) => sum + mask.reduce((n, m, i) => n + (i > 0 ? m : 0), 0), 0)
    const out: Gradients = { loss: 0, entropy: 0 }
    for (const batch of packedLessons(lessons, tokensPerMicrobatch)) {
      const scores = forwardLogprobs(params, batch, { train: true, checkpointActivations: gradientCheckpointing })
      const { logprob, entropy } = await scores.read()
      const { loss, dLogprob } = sftLoss(logprob, learned)
      out.loss += loss
      for (const value of entropy) out.entropy += value / learned
      if (Number.isFinite(loss)) scores.backward(dLogprob)
      scores.dispose()
    }
    return out
  }
}

function* packedLessons(lessons: readonly Lesson[], budget: number): Iterable<ItemizedBatch> {
  const rows = lessons.map((lesson) => packSequences([lesson]).tokens.length)
  for (const indices of planSequences(rows, budget)) yield packSequences(indices.map((i) => lessons[i]!))
}
