// One training run for check-resume: a tiny random model, its own rollouts, several updates per generation, a reference model and a
// checkpoint after every update. Goes on from the newest checkpoint in its folder. Prints "training" when it begins and "done" at its end.
//
//   node scripts/support/resume-run.mjs FOLDER SEED STEPS DTYPE

import { createModel } from '../../dist/lib/model.js'
import { GRPOTrainer } from '../../dist/lib/train/grpo.js'

const [outputDir, seed, maxSteps, dtype] = process.argv.slice(2)

const config = {
  family: 'qwen2',
  vocabSize: 211,
  hiddenSize: 48,
  intermediateSize: 96,
  numLayers: 3,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 12,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  ropeScaling: null,
  tieWordEmbeddings: true,
  attentionBias: true,
  qkNorm: false,
  maxPositionEmbeddings: 128,
  bosTokenId: null,
  eosTokenIds: [0],
  padTokenId: null,
}

const prompts = Array.from({ length: 11 }, (_, i) =>
  Array.from({ length: 3 + (i % 5) }, (_, t) => 1 + ((13 * i + 5 * t) % 200)),
)
const model = createModel(config, { device: 'cpu', dtype, seed: Number(seed) })
const trainer = new GRPOTrainer({
  model,
  dataset: prompts.map((_, i) => ({ id: `prompt-${i}`, messages: [], tools: [] })),
  reward: ({ tokens }) => tokens.filter((t) => t % 3 === 0).length / Math.max(tokens.length, 1),
  codec: {
    encode: ({ id }) => ({ tokens: prompts[Number(id.split('-')[1])], text: id }),
    decode: (tokens) => tokens.join(' '),
  },
  config: {
    outputDir,
    seed: Number(seed),
    maxSteps: Number(maxSteps),
    promptsPerStep: 4,
    numGenerations: 4,
    updatesPerGeneration: 2,
    numIterations: 2,
    maxCompletionLength: 16,
    beta: 0.05,
    learningRate: 3e-3,
    lrSchedulerType: 'cosine',
    warmupSteps: 2,
    weightDecay: 0.1,
    kvMemory: '64MB',
    saveSteps: 1,
    saveTotalLimit: 2,
  },
  resume: true,
})
console.log('training')
await trainer.train()
console.log('done')
