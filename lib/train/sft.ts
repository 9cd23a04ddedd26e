import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { Model } from '../model.js'
import { memoryPlan } from '../nn/memory-plan.js'
import { checkResumable } from './checkpoint/state.js'
import type { Checkpoint } from './checkpoint.js'
import { parseSFTConfig, type SFTConfig, type SFTOptions } from './config.js'
import { type Evaluate, type OnStep, runLoop, type TrainSummary } from './loop.js'
import { MemoryWatch } from './memory.js'
import { AdamW } from './optimizer.js'
import { DataOrder } from './order.js'
import { RunFolder } from './run-folder.js'
import { dataFingerprint, type ExampleSource, examplesOf, loadWeights, totalStepsOf } from './session.js'
import { type LessonEncoder, replyEncoder } from './sft/encode.js'
import { type SFTParts, type SFTProgress, SFTRun } from './sft/run.js'
import { Stopwatch } from './timing.js'
import { MetricWindow } from './window.js'

export type { Lesson, LessonEncoder } from './sft/encode.js'

export interface SFTTrainerOptions {
  /** Its weights are updated in place. */
  model: Model
  /** Examples with a `reply`; others are left out and listed. */
  dataset: ExampleSource
  config?: SFTOptions
  onStep?: OnStep
  /** Measures held-out data every `evalSteps` updates. */
  evaluate?: Evaluate
  /** How examples become tokens; default: chat template, reply, end of turn. */
  encode?: LessonEncoder
  /** True: go on from the newest checkpoint in `outputDir`, or start where there is none. A path: from that checkpoint. */
  resume?: boolean | string
  /** Gets lines for people (the memory plan); default: none. */
  print?: (line: string) => void
}

/** Supervised fine-tuning: cross-entropy on replies only, sequences packed without padding. */
export class SFTTrainer {
  readonly config: SFTConfig
  private readonly dataset: readonly Example[]
  private stopRequested = false

  /** @throws TypeError or RangeError (ERR_CONFIG) for settings that are wrong, ERR_DATA for a data set without examples */
  constructor(private readonly options: SFTTrainerOptions) {
    this.config = parseSFTConfig(options.config ?? {})
    this.dataset = examplesOf(options.dataset)
  }

  /** Finishes the update that is running, saves a checkpoint, and lets `train` return. */
  stop(): void {
    this.stopRequested = true
  }

  /** Trains to the last step or until {@link stop}. Rejects with the error that ended it; what was reached before is saved. */
  async train(): Promise<TrainSummary> {
    const from = await RunFolder.checkpoint(this.config.outputDir, this.options.resume ?? false)
    try {
      return await this.run(from)
    } finally {
      await from?.close()
    }
  }

  private async run(from: Checkpoint | null): Promise<TrainSummary> {
    const parts = await this.prepare(from)
    try {
      const run = new SFTRun(parts, progressOf(from))
      const { evaluate, onStep } = this.options
      return await runLoop(run, { ...parts, evaluate, onStep, stopRequested: () => this.stopRequested })
    } finally {
      this.options.print?.(parts.memory.summary())
      parts.folder.close()
      parts.optimizer.dispose()
    }
  }

  private async prepare(from: Checkpoint | null): Promise<SFTParts> {
    const { config } = this
    const { dataset } = this
    const { model } = this.options
    const data = dataFingerprint(dataset)
    if (from) checkResumable(from.state, { kind: 'sft', config, data })
    const memory = this.watchMemory()
    this.options.print?.(memory.describe())
    const optimizer = new AdamW(model.params, config)
    if (from) {
      await loadWeights(model.params, from)
      await optimizer.importTensors(from.optimizer, from.state.step)
    }
    const context = model.config.maxPositionEmbeddings
    return {
      model,
      dataset,
      data,
      config,
      totalSteps: totalStepsOf(config, { size: dataset.length, perStep: config.examplesPerStep, updates: 1 }),
      maxTokens: Math.min(config.maxLength ?? context, context),
      encode: this.options.encode ?? replyEncoder(model.tokenizer, this.endOfTurn()),
      order: new DataOrder(dataset.length, config.seed, config.shuffleDataset),
      optimizer,
      folder: await RunFolder.open(config.outputDir, { from, keep: config.saveTotalLimit }),
      window: new MetricWindow(from?.state.window),
      stopwatch: new Stopwatch(() => model.params.device.synchronize()),
      memory,
    }
  }

  /** What the tokenizer calls its end ends a turn in chat models; a config may list more. */
  private endOfTurn(): number {
    const { tokenizer, config } = this.options.model
    const token = tokenizer.eosTokenId ?? config.eosTokenIds[0]
    if (token !== undefined) return token
    return fail('Error', 'ERR_CONFIG', '[train] expected a model that names the token which ends a reply, got none')
  }

  private watchMemory(): MemoryWatch {
    const { params, config } = this.options.model
    const plan = memoryPlan({
      config,
      dtype: params.dtype,
      device: params.device,
      rowsPerMicrobatch: this.config.tokensPerMicrobatch,
      kvMemory: 0,
      train: true,
      reference: false,
      checkpointActivations: this.config.gradientCheckpointing,
    })
    return new MemoryWatch(plan, params.device)
  }
}

function progressOf(from: Checkpoint | null): SFTProgress {
  if (!from) return { step: 0, position: 0, tokensSeen: 0 }
  const { step, position, tokensSeen } = from.state
  return { step, position, tokensSeen }
}
