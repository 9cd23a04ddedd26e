import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createModel, loadModel, type Model } from '../../lib/model.js'
import { GRPOTrainer } from '../../lib/train/grpo.js'
import { tinyConfig, tinyDataset, tokenCodec, weightsOf } from '../train/support.js'

// What test/e2e/device.test.ts compares: prints the results on the device that the first argument names, as one line of JSON.

export interface Results {
  /** By (prompt, sample). */
  tokens: number[][]
  logprobs: number[][]
  /** Largest difference between the sampler's log-probs and the trainer's. */
  sampled: { f32: number; bf16: number }
  /** Log-probs of the saved and loaded model. */
  reloaded: number[]
  losses: number[]
  norms: number[]
  /** Every weight after the updates, of two runs; and how far the furthest has moved. */
  weights: number[]
  again: number[]
  moved: number
}

const prompts = [[1, 2, 3, 4, 5], [9, 8], [7], [11, 12, 13]]
const settings = { prompts, n: 5, maxTokens: 12, temperature: 1, topP: 0.95, seed: 5, stop: [1, 2, 3, 4, 5, 6, 7, 8] }

async function draw(model: Model) {
  const rollouts = await model.generate(settings)
  const sequences = rollouts.map(({ prompt, tokens }) => [...prompts[prompt]!, ...tokens])
  const trained = await model.logprobs(sequences)
  const differences = rollouts.flatMap(({ logprobs }, i) => {
    const own = trained[i]!.slice(-logprobs.length)
    return [...logprobs].map((x, t) => Math.abs(x - own[t]!))
  })
  return { rollouts, sampled: Math.max(...differences) }
}

async function train(device: string) {
  const model = createModel(tinyConfig, { device, dtype: 'f32', seed: 2 })
  const before = await weightsOf(model)
  const losses: number[] = []
  const norms: number[] = []
  const trainer = new GRPOTrainer({
    model,
    dataset: tinyDataset,
    codec: tokenCodec,
    reward: ({ tokens }) => tokens.filter((t) => t % 2 === 0).length / Math.max(tokens.length, 1),
    config: {
      maxSteps: 5,
      promptsPerStep: 2,
      numGenerations: 4,
      maxCompletionLength: 6,
      learningRate: 1e-3,
      beta: 0.04,
      weightDecay: 0.1,
      kvMemory: '16MB',
      saveSteps: 0,
    },
    onStep: ({ metrics }) => {
      losses.push(metrics.loss!)
      norms.push(metrics.grad_norm!)
    },
  })
  await trainer.train()
  const after = await weightsOf(model)
  model.dispose()
  const weights = [...after.values()].flatMap((w) => [...w])
  const start = [...before.values()].flatMap((w) => [...w])
  return { losses, norms, weights, moved: Math.max(...weights.map((w, i) => Math.abs(w - start[i]!))) }
}

async function main(device: string): Promise<Results> {
  const model = createModel(tinyConfig, { device, dtype: 'f32', seed: 3 })
  const { rollouts, sampled } = await draw(model)
  const folder = mkdtempSync(join(tmpdir(), 'callgrad-device-'))
  let reloaded: number[]
  try {
    await model.save(folder)
    const again = await loadModel(folder, { device, dtype: 'f32' })
    reloaded = (await draw(again)).rollouts.flatMap(({ logprobs }) => [...logprobs])
    again.dispose()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  model.dispose()
  const narrow = createModel(tinyConfig, { device, dtype: 'bf16', seed: 3 })
  const bf16 = (await draw(narrow)).sampled
  narrow.dispose()
  const first = await train(device)
  const { weights: again } = await train(device)
  return {
    tokens: rollouts.map(({ tokens }) => tokens),
    logprobs: rollouts.map(({ logprobs }) => [...logprobs]),
    sampled: { f32: sampled, bf16 },
    reloaded,
    ...first,
    again,
  }
}

console.log(JSON.stringify(await main(process.argv[2] ?? 'cpu')))
