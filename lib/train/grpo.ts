import { fail } from '../errors.js'
import type { Model } from '../model.js'
import { LocalEngine } from '../rollout/engine.js'
import type { RolloutProgress } from '../rollout/types.js'
import type { Checkpoint } from './checkpoint.js'
import { type GRPOConfig, type GRPOOptions, parseGRPOConfig } from './config.js'
import { chatCodec, type PromptCodec } from './grpo/prompts.js'
import { type RewardOption, weightedRewards } from './grpo/rewards.js'
import { engineSource, hookSource, type RolloutHook } from './grpo/rollouts.js'
import { type GRPOParts, type GRPOProgress, GRPORun } from './grpo/run.js'
import { freezeReference } from './reference.js'
import { totalStepsOf } from './session.js'
import { Trainer, type TrainerOptions, type TrainerParts } from './trainer.js'

export type { PromptCodec } from './grpo/prompts.js'
export type { RewardOption } from './grpo/rewards.js'
export type { ExternalRollout, RolloutHook, RolloutPrompt } from './grpo/rollouts.js'

export interface GRPOTrainerOptions extends TrainerOptions {
  /** The policy: its weights are updated in place. With beta > 0 its weights now are the reference. */
  model: Model
  reward: RewardOption
  config?: GRPOOptions
  /** Brings completions made elsewhere; default: this process's engine. */
  rollout?: RolloutHook
  /** How many completions of the current generation are done. */
  onProgress?: (progress: RolloutProgress) => void
  /** How examples become prompts; default: the model's tokenizer and chat template. */
  codec?: PromptCodec
}

/**
 * Group relative policy optimization (arXiv 2402.03300 and its successors, see `lossType`).
 *
 *     const trainer = new GRPOTrainer({ model, dataset, reward: toolCallReward('v0'), config: { maxSteps: 100 } })
 *     await trainer.train()
 */
export class GRPOTrainer extends Trainer<GRPOConfig, GRPOParts> {
  /** @throws TypeError or RangeError (ERR_CONFIG) for settings that are wrong, ERR_DATA for a data set without examples */
  constructor(protected override readonly options: GRPOTrainerOptions) {
    super('grpo', parseGRPOConfig(options.config ?? {}), options)
    weightedRewards(options.reward, this.config.rewardWeights)
  }

  protected override memoryNeeds() {
    const { kvMemory, beta } = this.config
    return { kvMemory: this.options.rollout ? 0 : kvMemory, reference: beta > 0 }
  }

  protected override async prepare(
    checked: Pick<TrainerParts<GRPOConfig>, 'data' | 'memory'>,
    from: Checkpoint | null,
  ): Promise<GRPOParts> {
    const { config, dataset } = this
    const { model, reward, rollout, onProgress } = this.options
    if (config.lossType === 'cispo' && config.epsilonHigh < 1) {
      const note = `Note: for cispo epsilonHigh bounds the ratio itself; ${config.epsilonHigh} holds it below 1 (5 is usual).`
      this.options.print?.(note)
    }
    // first what may be refused, before anything is opened
    const maxPromptTokens = Math.min(config.maxPromptLength ?? Number.POSITIVE_INFINITY, this.contextForPrompts())
    const codec = this.options.codec ?? chatCodec(model.tokenizer)
    // before the checkpoint's weights take the place of the first ones
    const reference = config.beta > 0 ? await freezeReference(model.params, from?.state ?? null) : null
    return {
      ...checked,
      ...(await this.commonParts(from)),
      rewards: weightedRewards(reward, config.rewardWeights),
      totalSteps: totalStepsOf(config, {
        size: dataset.length,
        perStep: config.promptsPerStep,
        updates: config.updatesPerGeneration * config.numIterations,
      }),
      maxPromptTokens,
      codec,
      source: rollout
        ? hookSource(rollout, config.numGenerations)
        : engineSource(new LocalEngine(model.params), config, model.config.eosTokenIds, onProgress),
      reference,
    }
  }

  protected override async stepper(parts: GRPOParts, from: Checkpoint | null): Promise<GRPORun> {
    return new GRPORun(parts, await progressOf(from))
  }

  protected override release({ reference }: GRPOParts): void {
    reference?.params.dispose()
  }

  private contextForPrompts(): number {
    const { maxPositionEmbeddings } = this.options.model.config
    const room = maxPositionEmbeddings - this.config.maxCompletionLength
    if (room >= 1) return room
    const expected = `[config] maxCompletionLength: expected less than the model's context of ${maxPositionEmbeddings}`
    return fail('RangeError', 'ERR_CONFIG', `${expected}, got ${this.config.maxCompletionLength}`)
  }
}

async function progressOf(from: Checkpoint | null): Promise<GRPOProgress> {
  if (!from) return { step: 0, position: 0, generations: 0, update: 0, tokensSeen: 0, buffer: null }
  const { step, position, generations, update, tokensSeen } = from.state
  return { step, position, generations, update, tokensSeen, buffer: await from.generation() }
}
