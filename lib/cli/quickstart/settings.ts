// What the quickstart trains. Every number can be changed by `--set`: `--set grpo.maxSteps=50`, `--set model.numLayers=2`.

import { z } from 'zod'
import { parseWith } from '../../train/config/check.js'
import { count } from '../../train/config/fields.js'
import { grpoSchema, sftSchema } from '../../train/config/schema.js'
import { applySettings } from '../config-file.js'

const range = z.tuple([z.int().min(0), z.int().min(0)])
const chance = z.number().min(0).max(1)

const schema = z.strictObject({
  seed: count(0, 0, 'Seed of weights, tasks and sampling.'),
  dtype: z.enum(['auto', 'f32', 'bf16']),
  model: z.strictObject({
    hiddenSize: z.int().min(16),
    intermediateSize: z.int().min(16),
    numLayers: z.int().min(1),
    numHeads: z.int().min(1),
    numKvHeads: z.int().min(1),
    headDim: z.int().min(8),
    initStd: z.number().gt(0),
  }),
  tasks: z.strictObject({
    /** Demonstrated tasks, tasks for reinforcement learning (none is in both), and held-out ones, whose tools no training task has. */
    sft: z.int().min(1),
    grpo: z.int().min(1),
    heldOut: z.int().min(3),
    tools: range,
    parameters: range,
    optional: chance,
    parallel: chance,
  }),
  sft: sftSchema,
  grpo: grpoSchema,
})

export type QuickstartSettings = z.output<typeof schema>

/**
 * Sizes for two cores: about a minute and a half of supervised training and two and a half of reinforcement learning.
 *
 * What made a model of under a million weights learn to copy from its prompt (AMD EPYC of the Zen 4 kind, 2 cores, held-out exact
 * match after SFT on flawless demonstrations): weights drawn with a deviation of 0.08 in place of 0.02 (8 % to 38 % at equal
 * time), small batches and many steps (16 examples; 64 were worse at equal tokens), two wide layers with eight heads in place of
 * three narrow ones (67 % to 77 %), two or three short tools in place of four long ones.
 */
const defaults = {
  seed: 0,
  dtype: 'auto',
  model: {
    hiddenSize: 160,
    intermediateSize: 480,
    numLayers: 2,
    numHeads: 8,
    numKvHeads: 8,
    headDim: 32,
    initStd: 0.08,
  },
  tasks: { sft: 22_400, grpo: 9600, heldOut: 300, tools: [2, 3], parameters: [1, 2], optional: 0, parallel: 0.3 },
  sft: {
    examplesPerStep: 16,
    maxSteps: 1400,
    learningRate: 4e-3,
    lrSchedulerType: 'cosine',
    warmupSteps: 20,
    adamBeta2: 0.95,
    weightDecay: 0.01,
    tokensPerMicrobatch: 4096,
    saveSteps: 0,
    saveTotalLimit: 1,
  },
  grpo: {
    promptsPerStep: 32,
    numGenerations: 8,
    maxCompletionLength: 96,
    maxSteps: 300,
    learningRate: 7e-4,
    lrSchedulerType: 'linear',
    lossType: 'grpo',
    beta: 0,
    tokensPerMicrobatch: 8192,
    kvMemory: '256MB',
    saveSteps: 100,
    saveTotalLimit: 1,
    evalSteps: 50,
  },
}

/** The defaults with `--set` texts and the seed on them. Throws `ERR_CONFIG` as a training's settings do. */
export function quickstartSettings(set: readonly string[], seed?: number): QuickstartSettings {
  const tree = applySettings(defaults, [...(seed === undefined ? [] : [`seed=${seed}`]), ...set])
  const settings = parseWith(schema, tree, 'quickstart')
  return { ...settings, sft: { ...settings.sft, seed: settings.seed }, grpo: { ...settings.grpo, seed: settings.seed } }
}
