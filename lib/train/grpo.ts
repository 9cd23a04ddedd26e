import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { Model } from '../model.js'
import { memoryPlan } from '../nn/memory-plan.js'
import { LocalEngine } from '../rollout/engine.js'
import type { RolloutProgress } from '../rollout/types.js'
import { checkResumable } from './checkpoint/state.js'
import type { Checkpoint } from './checkpoint.js'
import { type GRPOConfig, type GRPOOptions, parseGRPOConfig } from './config.js'
import { chatCodec, type PromptCodec } from './grpo/prompts.js'
import { type RewardOption, weightedRewards } from './grpo/rewards.js'
import { engineSource, hookSource, type RolloutHook } from './grpo/rollouts.js'
import { type GRPOParts, type GRPOProgress, GRPORun } from './grpo/run.js'
import { type Evaluate, type OnStep, runLoop, type TrainSummary } from './loop.js'
import { MemoryWatch } from './memory.js'
import { AdamW } from './optimizer.js'
import { DataOrder } from './order.js'
import { freezeReference } from './reference.js'
import { RunFolder } from './run-folder.js'
import { dataFingerprint, type ExampleSource, examplesOf, loadWeights, totalStepsOf } from './session.js'
import { Stopwatch } from './timing.js'
import { MetricWindow } from './window.js'

export type { PromptCodec } from './grpo/prompts.js'
export type { RewardOption } from './grpo/rewards.js'
export type { ExternalRollout, RolloutHook, RolloutPrompt } from './grpo/rollouts.js'

export interface GRPOTrainerOptions {
  /** The policy: its weights are updated in place. With beta > 0 its weights now are the reference. */
  model: Model
  dataset: ExampleSource
  reward: RewardOption
  config?: GRPOOptions
  /** Brings completions made elsewhere; default: this process's engine. */
  rollout?: RolloutHook
  onStep?: OnStep
  /** Measures held-out data every `evalSteps` updates. */
  evaluate?: Evaluate
  /** How many completions of the current generation are done. */
  onProgress?: (progress: RolloutProgress) => void
  /** How examples become prompts; default: the model's tokenizer and chat template. */
  codec?: PromptCodec
  /** True: go on from the newest checkpoint in `outputDir`, or start where there is none. A path: from that checkpoint. */
  resume?: boolean | string
  /** Gets lines for people (the memory plan); default: none. */
  print?: (line: string) => void
}

/**
 * Group relative policy optimization (arXiv 2402.03300 and its successors, see `lossType`).
 *
 *     const trainer = new GRPOTrainer({ model, dataset, reward: toolCallReward('v0'), config: { maxSteps: 100 } })
 *     await trainer.train()
 */
export class GRPOTrainer {
  readonly config: GRPOConfig
  private readonly dataset: readonly Example[]
  private stopRequested = false

  /** @throws TypeError or RangeError (ERR_CONFIG) for settings that are wrong, ERR_DATA for a data set without examples */
  constructor(private readonly options: GRPOTrainerOptions) {
    this.config = parseGRPOConfig(options.config ?? {})
    this.dataset = examplesOf(options.dataset)
    weightedRewards(options.reward, this.config.rewardWeights)
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
      const run = new GRPORun(parts, await progressOf(from))
      const { evaluate, onStep } = this.options
      return await runLoop(run, { ...parts, evaluate, onStep, stopRequested: () => this.stopRequested })
    } finally {
      this.options.print?.(parts.memory.summary())
      parts.folder.close()
      parts.optimizer.dispose()
      parts.reference?.params.dispose()
    }
  }

  /** Everything that the run works with; loads weights and moments where it resumes. */
  private async prepare(from: Checkpoint | null): Promise<GRPOParts> {
    const { config } = this
    const { dataset } = this
    const { model, reward, rollout, onProgress } = this.options
    const data = dataFingerprint(dataset)
    if (from) checkResumable(from.state, { kind: 'grpo', config, data })
    const memory = this.watchMemory()
    this.options.print?.(memory.describe())
    if (config.lossType === 'cispo' && config.epsilonHigh < 1) {
      const note = `Note: for cispo epsilonHigh bounds the ratio itself; ${config.epsilonHigh} holds it below 1 (5 is usual).`
      this.options.print?.(note)
    }
    const reference = config.beta > 0 ? await freezeReference(model.params, from?.state ?? null) : null
    const optimizer = new AdamW(model.params, config)
    if (from) {
      await loadWeights(model.params, from)
      await optimizer.importTensors(from.optimizer, from.state.step)
    }
    return {
      model,
      dataset,
      data,
      rewards: weightedRewards(reward, config.rewardWeights),
      config,
      totalSteps: totalStepsOf(config, {
        size: dataset.length,
        perStep: config.promptsPerStep,
        updates: config.updatesPerGeneration * config.numIterations,
      }),
      maxPromptTokens: Math.min(config.maxPromptLength ?? Number.POSITIVE_INFINITY, this.contextForPrompts()),
      codec: this.options.codec ?? chatCodec(model.tokenizer),
      order: new DataOrder(dataset.length, config.seed, config.shuffleDataset),
      source: rollout
        ? hookSource(rollout, config.numGenerations)
        : engineSource(new LocalEngine(model.params), config, model.config.eosTokenIds, onProgress),
      optimizer,
      reference,
      folder: await RunFolder.open(config.outputDir, { from, keep: config.saveTotalLimit }),
      window: new MetricWindow(from?.state.window),
      stopwatch: new Stopwatch(() => model.params.device.synchronize()),
      memory,
    }
  }

  private contextForPrompts(): number {
    const { maxPositionEmbeddings } = this.options.model.config
    const room = maxPositionEmbeddings - this.config.maxCompletionLength
    if (room >= 1) return room
    const expected = `[config] maxCompletionLength: expected less than the model's context of ${maxPositionEmbeddings}`
    return fail('RangeError', 'ERR_CONFIG', `${expected}, got ${this.config.maxCompletionLength}`)
  }

  private watchMemory(): MemoryWatch {
    const { params, config } = this.options.model
    const plan = memoryPlan({
      config,
      dtype: params.dtype,
      device: params.device,
      rowsPerMicrobatch: this.config.tokensPerMicrobatch,
      kvMemory: this.options.rollout ? 0 : this.config.kvMemory,
      train: true,
      reference: this.config.beta > 0,
      checkpointActivations: this.config.gradientCheckpointing,
    })
    return new MemoryWatch(plan, params.device)
  }
}

async function progressOf(from: Checkpoint | null): Promise<GRPOProgress> {
  if (!from) return { step: 0, position: 0, generations: 0, update: 0, tokensSeen: 0, buffer: null }
  const { step, position, generations, update, tokensSeen } = from.state
  return { step, position, generations, update, tokensSeen, buffer: await from.generation() }
}
