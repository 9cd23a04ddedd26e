import { fail } from '../errors.js'
import type { Checkpoint } from './checkpoint.js'
import { parseSFTConfig, type SFTConfig, type SFTOptions } from './config.js'
import { totalStepsOf } from './session.js'
import { type LessonEncoder, replyEncoder } from './sft/encode.js'
import { type SFTParts, type SFTProgress, SFTRun } from './sft/run.js'
import { Trainer, type TrainerOptions, type TrainerParts } from './trainer.js'

export type { Lesson, LessonEncoder } from './sft/encode.js'

export interface SFTTrainerOptions extends TrainerOptions {
  /** Examples with a `reply`; others are left out and listed. */
  dataset: TrainerOptions['dataset']
  config?: SFTOptions
  /** How examples become tokens; default: chat template, reply, end of turn. */
  encode?: LessonEncoder
}

/** Supervised fine-tuning: cross-entropy on replies only, sequences packed without padding. */
export class SFTTrainer extends Trainer<SFTConfig, SFTParts> {
  /** @throws TypeError or RangeError (ERR_CONFIG) for settings that are wrong, ERR_DATA for a data set without examples */
  constructor(protected override readonly options: SFTTrainerOptions) {
    super('sft', parseSFTConfig(options.config ?? {}), options)
  }

  protected override memoryNeeds() {
    return { kvMemory: 0, reference: false }
  }

  protected override async prepare(
    checked: Pick<TrainerParts<SFTConfig>, 'data' | 'memory'>,
    from: Checkpoint | null,
  ): Promise<SFTParts> {
    const { config, dataset } = this
    const { model } = this.options
    // first what may be refused, before anything is opened
    const encode = this.options.encode ?? replyEncoder(model.tokenizer, this.endOfTurn())
    const context = model.config.maxPositionEmbeddings
    return {
      ...checked,
      ...(await this.commonParts(from)),
      totalSteps: totalStepsOf(config, { size: dataset.length, perStep: config.examplesPerStep, updates: 1 }),
      maxTokens: Math.min(config.maxLength ?? context, context),
      encode,
    }
  }

  protected override async stepper(parts: SFTParts, from: Checkpoint | null): Promise<SFTRun> {
    return new SFTRun(parts, progressOf(from))
  }

  /** What the tokenizer calls its end ends a turn in chat models; a config may list more. */
  private endOfTurn(): number {
    const { tokenizer, config } = this.options.model
    const token = tokenizer.eosTokenId ?? config.eosTokenIds[0]
    if (token !== undefined) return token
    return fail('Error', 'ERR_CONFIG', '[train] expected a model that names the token which ends a reply, got none')
  }
}

function progressOf(from: Checkpoint | null): SFTProgress {
  if (!from) return { step: 0, position: 0, tokensSeen: 0 }
  const { step, position, tokensSeen } = from.state
  return { step, position, tokensSeen }
}
