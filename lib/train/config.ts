import type { z } from 'zod'
import { parseWith } from './config/check.js'
import { grpoSchema, sftSchema } from './config/schema.js'

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
