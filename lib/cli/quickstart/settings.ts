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

/** Sizes for two cores: about a minute of supervised training and four of reinforcement learning. */
const defaults = {
  seed: 0,
  dtype: 'auto',
  model: { hiddenSize: 160, intermediateSize: 448, numLayers: 4, numHeads: 4, numKvHeads: 2, headDim: 40 },
  tasks: { sft: 6000, grpo: 6000, heldOut: 300, tools: [2, 4], parameters: [1, 3], optional: 0.15, parallel: 0.3 },
  sft: {
    examplesPerStep: 32,
    maxSteps: 300,
    learningRate: 3e-3,
    lrSchedulerType: 'cosine',
    warmupSteps: 20,
    tokensPerMicrobatch: 4096,
    saveSteps: 0,
    saveTotalLimit: 1,
  },
  grpo: {
    promptsPerStep: 16,
    numGenerations: 8,
    maxCompletionLength: 96,
    maxSteps: 150,
    learningRate: 3e-4,
    lrSchedulerType: 'constant',
    warmupSteps: 5,
    beta: 0,
    tokensPerMicrobatch: 4096,
    kvMemory: '256MB',
    saveSteps: 50,
    saveTotalLimit: 1,
    evalSteps: 25,
  },
}

/** The defaults with `--set` texts and the seed on them. Throws `ERR_CONFIG` as a training's settings do. */
export function quickstartSettings(set: readonly string[], seed?: number): QuickstartSettings {
  const tree = applySettings(defaults, [...(seed === undefined ? [] : [`seed=${seed}`]), ...set])
  const settings = parseWith(schema, tree, 'quickstart')
  return { ...settings, sft: { ...settings.sft, seed: settings.seed }, grpo: { ...settings.grpo, seed: settings.seed } }
}
