import { z } from 'zod'
import { parseWith } from './config/check.js'
import {
  type datasetSchema,
  distillRunSchema,
  evalRunSchema,
  generateRunSchema,
  pick,
  sftRunSchema,
  sftRunShape,
  trainRunSchema,
  trainShape,
} from './config/run.js'
import { grpoSchema, grpoShape, sftSchema, sftShape } from './config/schema.js'

/** Settings of `GRPOTrainer` with every default filled in. */
export type GRPOConfig = z.output<typeof grpoSchema>
/** Settings of `GRPOTrainer` as a caller gives them: every key is optional. */
export type GRPOOptions = z.input<typeof grpoSchema>
/** Settings of `SFTTrainer` with every default filled in. */
export type SFTConfig = z.output<typeof sftSchema>
/** Settings of `SFTTrainer` as a caller gives them: every key is optional. */
export type SFTOptions = z.input<typeof sftSchema>

/**
 * Checks and completes the settings of a GRPO run; parsing a parsed config changes nothing.
 * Throws `TypeError` or `RangeError` (code `ERR_CONFIG`): `[config] unknown key "numGeneration"; did you mean "numGenerations"?`.
 */
export function parseGRPOConfig(options: unknown): GRPOConfig {
  return parseWith(grpoSchema, options)
}

/** Checks and completes the settings of a supervised run; see {@link parseGRPOConfig}. */
export function parseSFTConfig(options: unknown): SFTConfig {
  return parseWith(sftSchema, options)
}

/** What `callgrad train` reads: {@link GRPOConfig} and, beside it, model, data, reward and prompt format. */
export type TrainRun = z.output<typeof trainRunSchema>
/** What `callgrad sft` reads. */
export type SFTRun = z.output<typeof sftRunSchema>
/** What `callgrad eval` reads. */
export type EvalRun = z.output<typeof evalRunSchema>
/** What `callgrad distill` reads. */
export type DistillRun = z.output<typeof distillRunSchema>
/** What `callgrad generate` reads. */
export type GenerateRun = z.output<typeof generateRunSchema>
/** Which records of which file. */
export type DatasetSpec = z.output<typeof datasetSchema>

/**
 * Checks and completes what the commands read; each throws as {@link parseGRPOConfig} does. With the `file` that a training command was
 * given, keys of the other one are met with the right command.
 */
export const parseTrainRun = (options: unknown, file?: string): TrainRun =>
  parseWith(trainRunSchema, options, 'config', otherCommand('sft', sftRunShape, file))
export const parseSFTRun = (options: unknown, file?: string): SFTRun =>
  parseWith(sftRunSchema, options, 'config', otherCommand('train', trainShape, file))
export const parseEvalRun = (options: unknown): EvalRun => parseWith(evalRunSchema, options)
export const parseDistillRun = (options: unknown): DistillRun => parseWith(distillRunSchema, options)
export const parseGenerateRun = (options: unknown): GenerateRun => parseWith(generateRunSchema, options)

function otherCommand(command: string, shape: z.core.$ZodShape, file: string | undefined) {
  return file === undefined ? undefined : { command: `callgrad ${command} ${file}`, schema: z.strictObject(shape) }
}

/** The trainer's part of a run. */
export const grpoPart = (run: TrainRun): GRPOConfig => parseGRPOConfig(pick(grpoShape, run))
/** The trainer's part of a supervised run. */
export const sftPart = (run: SFTRun): SFTConfig => parseSFTConfig(pick(sftShape, run))
