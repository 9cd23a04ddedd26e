// The settings of GRPOTrainer and SFTTrainer. Names are those of TRL's GRPOConfig and SFTConfig in camelCase where TRL has the
// setting; ours are promptsPerStep, updatesPerGeneration, tokensPerMicrobatch, kvMemory, examplesPerStep and shuffleRewards.

import { z } from 'zod'
import { count, flag, fraction, memory, nonNegative, positive } from './fields.js'

/** Losses that clip the ratio between 1 - epsilon and 1 + epsilonHigh. */
const clippedLosses: ReadonlySet<string> = new Set(['grpo', 'bnpo', 'dr_grpo', 'dapo', 'luspo'])

/** Optimizer, schedule, logging and saving: the same for both trainers. */
export const commonShape = (learningRate: number) => ({
  learningRate: nonNegative(learningRate, 'Peak learning rate of AdamW.', true),
  lrSchedulerType: z
    .enum(['constant', 'linear', 'cosine'])
    .default('linear')
    .meta({ description: 'Learning rate after the warm-up: kept, or brought to 0 at the last step.', trl: true }),
  warmupSteps: count(0, 0, 'Optimizer steps over which the learning rate rises linearly from 0.', true),
  warmupRatio: fraction(0, 'The same as a part of all steps; give one of the two.', true),
  weightDecay: nonNegative(0, 'Decoupled weight decay of AdamW, on matrices only (not on norms and biases).', true),
  adamBeta1: z.number().min(0).lt(1).default(0.9).meta({ description: 'Decay of the first moment.', trl: true }),
  adamBeta2: z.number().min(0).lt(1).default(0.999).meta({ description: 'Decay of the second moment.', trl: true }),
  adamEpsilon: positive(1e-8, 'Added to the root of the second moment.', true),
  maxGradNorm: nonNegative(
    1,
    'Global gradient norm above which gradients are scaled down; 0 turns clipping off.',
    true,
  ),
  maxSteps: z.int().min(-1).default(-1).meta({
    description: 'Optimizer steps in all; -1 takes as many as numTrainEpochs needs.',
    trl: true,
    expected: 'an integer of at least 1, or -1 to let numTrainEpochs decide',
  }),
  numTrainEpochs: positive(1, 'Passes over the data set, when maxSteps is -1; may be a fraction.', true),
  shuffleDataset: flag(true, 'Draws a new order of the data set for every epoch (from the seed).', true),
  tokensPerMicrobatch: count(
    1,
    2048,
    'Tokens that run forward and backward at once. Bounds activation memory and never changes the result.',
  ),
  gradientCheckpointing: flag(false, 'Recomputes activations in the backward pass: less memory, same bits.', true),
  seed: z.int().min(0).max(0xffffffff).default(42).meta({ description: 'Seed of everything random.', trl: true }),
  outputDir: z.string().min(1).nullable().default(null).meta({
    description: 'Where metrics, completions and checkpoints go; null writes nothing.',
    trl: true,
    expected: 'a folder',
  }),
  loggingSteps: count(1, 1, 'Optimizer steps between two lines of metrics.jsonl.', true),
  saveSteps: count(0, 50, 'Optimizer steps between two checkpoints; 0 saves the last step only.', true),
  saveTotalLimit: z.int().min(1).nullable().default(3).meta({
    description: 'Checkpoints that are kept; older ones are deleted. null keeps all.',
    trl: true,
  }),
  evalSteps: count(
    0,
    0,
    'Optimizer steps between two evaluations on evalDataset; 0 never evaluates while training.',
    true,
  ),
})

export const grpoOnlyShape = {
  // Rollouts
  promptsPerStep: count(1, 8, 'Prompts drawn for each generation; each gets numGenerations completions.'),
  numGenerations: count(2, 8, 'Completions of a prompt: the group whose mean reward is the baseline.', true),
  maxPromptLength: z.int().min(1).nullable().default(null).meta({
    description:
      'Longer prompts are left out and listed; null takes what the context leaves beside maxCompletionLength.',
    trl: true,
  }),
  maxCompletionLength: count(1, 256, 'Tokens a completion may have.', true),
  temperature: positive(1, 'Sampling temperature; log-probabilities are those of logits / temperature.', true),
  topP: z.number().gt(0).max(1).default(1).meta({ description: 'Nucleus sampling; 1 keeps every token.', trl: true }),
  topK: count(0, 0, 'Tokens kept by top-k sampling; 0 keeps every token.', true),
  minP: fraction(0, 'Drops tokens below this part of the most likely one; 0 keeps every token.', true),
  kvMemory: memory('1GB', 'Memory for keys and values while sampling; sequences wait when it is full.'),
  // Updates
  updatesPerGeneration: count(1, 1, 'Mini-batches that one generation is split into; a group is never split.'),
  numIterations: count(1, 1, 'Passes over one generation (mu in the GRPO paper).', true),
  // Loss
  lossType: z
    .enum(['grpo', 'bnpo', 'dr_grpo', 'dapo', 'cispo', 'sapo', 'luspo', 'vespo'])
    .default('dapo')
    .meta({ description: 'How token losses are formed and averaged (docs/architecture.md).', trl: true }),
  importanceSamplingLevel: z
    .enum(['token', 'sequence'])
    .default('token')
    .meta({ description: 'Ratio per token, or one per sequence (GSPO).', trl: true }),
  scaleRewards: z.enum(['group', 'batch', 'none']).default('group').meta({
    description: 'What advantages are divided by: the standard deviation of the group, the batch, or 1.',
    trl: true,
  }),
  epsilon: nonNegative(0.2, 'The ratio is clipped below 1 - epsilon.', true),
  epsilonHigh: z.number().min(0).nullable().default(null).meta({
    description:
      'The ratio is clipped above 1 + epsilonHigh; null means epsilon. For cispo it is the bound itself, 5 when null.',
    trl: true,
  }),
  delta: z.number().gt(0).nullable().default(null).meta({
    description: 'Upper bound of the ratio for negative advantages (two-sided clipping); above 1 + epsilonHigh.',
    trl: true,
  }),
  beta: nonNegative(0, 'Weight of the KL term to the frozen initial model, which is loaded only when beta > 0.', true),
  useBiasCorrectionKl: flag(true, 'Multiplies the KL estimate by the importance ratio, as TRL does.', true),
  importanceSamplingMode: z
    .enum(['none', 'token_truncate', 'token_mask', 'sequence_truncate', 'sequence_mask'])
    .default('none')
    .meta({
      description:
        'Corrects for a sampler that is not the trained model: weights exp(old - sampled), capped or masked.',
    }),
  importanceSamplingCap: positive(3, 'Cap of that weight.'),
  sapoTemperaturePos: positive(1, 'SAPO: temperature for positive advantages.', true),
  sapoTemperatureNeg: positive(1.05, 'SAPO: temperature for the others.', true),
  vespoKPos: positive(2, 'VESPO: power k for advantages of at least 0.', true),
  vespoLambdaPos: positive(3, 'VESPO: lambda for advantages of at least 0.', true),
  vespoKNeg: positive(3, 'VESPO: power k for negative advantages.', true),
  vespoLambdaNeg: positive(2, 'VESPO: lambda for negative advantages.', true),
  maskTruncatedCompletions: flag(false, 'Leaves completions that ran into maxCompletionLength out of the loss.', true),
  // Rewards
  rewardWeights: z.array(z.number()).min(1).nullable().default(null).meta({
    description: 'One weight for each reward; null weighs all by 1.',
    trl: true,
    expected: 'a list of numbers, one for each reward',
  }),
  shuffleRewards: flag(false, 'A control: permutes the rewards of a generation, so that there is nothing to learn.'),
  logCompletions: flag(true, 'Writes every completion with its reward and explanation to completions.jsonl.', true),
}

/** Keys of GRPOTrainer's `config`. */
export const grpoShape = { ...grpoOnlyShape, ...commonShape(1e-6) }

/** Keys of SFTTrainer's `config`. */
export const sftShape = {
  examplesPerStep: count(1, 16, 'Examples of one optimizer step; the loss is the mean over their completion tokens.'),
  maxLength: z.int().min(2).nullable().default(null).meta({
    description: 'Longer examples are left out and listed; null takes the context of the model.',
    trl: true,
  }),
  ...commonShape(2e-5),
}

type Context = z.core.$RefinementCtx
const refuse = (context: Context, key: string, message: string) =>
  context.addIssue({ code: 'custom', path: [key], message })

/** What several settings say together; messages complete "[config] key: …". */
export function checkCommon(c: { warmupSteps: number; warmupRatio: number; maxSteps: number }, context: Context): void {
  if (c.warmupSteps > 0 && c.warmupRatio > 0)
    refuse(context, 'warmupRatio', `expected 0 because warmupSteps is ${c.warmupSteps}, got ${c.warmupRatio}`)
  if (c.maxSteps === 0)
    refuse(context, 'maxSteps', 'expected an integer of at least 1, or -1 to let numTrainEpochs decide, got 0')
  if (c.maxSteps > 0 && c.warmupSteps > c.maxSteps)
    refuse(context, 'warmupSteps', `expected at most maxSteps (${c.maxSteps}), got ${c.warmupSteps}`)
}

/** {@link checkCommon} and the rules of GRPO. */
export function checkGrpo(c: z.output<z.ZodObject<typeof grpoShape>>, context: Context): void {
  checkCommon(c, context)
  if (c.promptsPerStep % c.updatesPerGeneration !== 0)
    refuse(
      context,
      'updatesPerGeneration',
      `expected a divisor of promptsPerStep (${c.promptsPerStep}), got ${c.updatesPerGeneration}`,
    )
  const bound = c.epsilonHigh ?? c.epsilon
  if (clippedLosses.has(c.lossType) && c.epsilon > 1)
    refuse(context, 'epsilon', `expected at most 1 for ${c.lossType}, got ${c.epsilon}`)
  if (c.delta !== null && c.lossType !== 'cispo' && c.delta <= 1 + bound)
    refuse(context, 'delta', `expected more than 1 + epsilonHigh (${1 + bound}), got ${c.delta}`)
}

/** Fills what a default of another key decides. Applying it twice changes nothing. */
export function resolveGrpo<T extends { lossType: string; epsilon: number; epsilonHigh: number | null }>(
  c: T,
): T & { epsilonHigh: number } {
  return { ...c, epsilonHigh: c.epsilonHigh ?? (c.lossType === 'cispo' ? 5 : c.epsilon) }
}

export const grpoSchema = z.strictObject(grpoShape).superRefine(checkGrpo).transform(resolveGrpo)
export const sftSchema = z.strictObject(sftShape).superRefine(checkCommon)
