import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Example } from '../../lib/data/example.js'
import { SafetensorsSet } from '../../lib/formats/safetensors-set.js'
import { loadModel, type Model } from '../../lib/model.js'
import type { GRPOOptions } from '../../lib/train/config.js'
import { GRPOTrainer, type RolloutHook } from '../../lib/train/grpo.js'
import type { FamilyResult, ParityOptions } from './result.js'

/**
 * Whole runs of TRL's GRPOTrainer, replayed through ours: the logged figures of every step within 1e-4, at least 99.9 % of the final
 * weights within 1e-4 and all within 2e-3.
 */
export const families = ['e2e']

const folderPattern = /^e2e_(.+)_([\d.]+)_(\d+)$/
const groupSize = 4
/** Logged by TRL, but about its own clock. */
const notCompared = /^(step|step_time|train_.*|total_flos)$/

type LogEntry = Record<string, number | null>

interface RecordedGeneration {
  prompt_ids: number[][]
  completion_ids: number[][]
  rewards: number[]
}

export async function run(root: string, { device }: ParityOptions): Promise<FamilyResult[]> {
  const names = readdirSync(root)
    .filter((name) => folderPattern.test(name) && existsSync(join(root, name, 'log.json')))
    .sort()
  const results: FamilyResult[] = []
  for (const name of names) {
    const errors = await replay(root, name, device)
    const messages = errors
      .filter(({ failed }) => failed)
      .map(({ what, error }) => `${name}: ${what} is off by ${error}`)
    const maxError = Math.max(...errors.map(({ error }) => error))
    results.push({ family: name, cases: errors.length, failed: messages.length, max_error: maxError, messages })
  }
  return results
}

interface Difference {
  what: string
  error: number
  failed: boolean
}

async function replay(root: string, name: string, device: string): Promise<Difference[]> {
  const [, lossType, beta, numIterations] = folderPattern.exec(name)!
  const folder = join(root, name)
  const read = <T>(file: string): T => JSON.parse(readFileSync(join(folder, file), 'utf8'))
  const generations = read<RecordedGeneration[]>('rollouts.json')
  const log = read<LogEntry[]>('log.json').filter((entry) => entry.loss !== undefined)
  const model = await loadModel(join(folder, 'init'), { device, dtype: 'f32' })
  try {
    const config: GRPOOptions = {
      lossType: lossType as NonNullable<GRPOOptions['lossType']>,
      beta: Number(beta),
      numIterations: Number(numIterations),
      maxSteps: log.length,
      promptsPerStep: generations[0]!.prompt_ids.length / groupSize,
      numGenerations: groupSize,
      maxCompletionLength: 8,
      shuffleDataset: false,
      learningRate: 1e-2,
      lrSchedulerType: 'constant',
      weightDecay: 0,
      maxGradNorm: 1,
      epsilon: 0.2,
      epsilonHigh: 0.2,
    }
    const steps = await train(model, generations, config)
    const figures = log.flatMap((expected, i) => compareStep(steps[i] ?? {}, expected, i + 1))
    return [...figures, ...(await compareWeights(model, join(folder, 'final')))]
  } finally {
    model.dispose()
  }
}

/** Runs our trainer on the recorded completions and rewards; returns the figures of each step. */
async function train(model: Model, generations: RecordedGeneration[], config: GRPOOptions): Promise<LogEntry[]> {
  const groups = generations.flatMap(({ prompt_ids, completion_ids, rewards }) =>
    Array.from({ length: prompt_ids.length / groupSize }, (_, g) => {
      const own = <T>(list: T[]) => list.slice(g * groupSize, (g + 1) * groupSize)
      return { prompt: prompt_ids[g * groupSize]!, completions: own(completion_ids), rewards: own(rewards) }
    }),
  )
  const dataset = groups.map((_, i): Example => ({ id: String(i), messages: [], tools: [] }))
  const { eosTokenIds, padTokenId } = model.config
  const ends = (token: number | undefined) => eosTokenIds.includes(token ?? -1) || token === padTokenId
  const rollout: RolloutHook = async (prompts) =>
    prompts.flatMap(({ prompt, example }) =>
      groups[Number(example.id)]!.completions.map((tokens, sample) => {
        return { prompt, sample, tokens, finishReason: ends(tokens.at(-1)) ? ('stop' as const) : ('length' as const) }
      }),
    )
  // Completions are scored in the order of their samples.
  const pending = groups.map(({ rewards }) => [...rewards])
  const steps: LogEntry[] = []
  const trainer = new GRPOTrainer({
    model,
    dataset,
    config,
    rollout,
    reward: { name: 'r', fn: ({ example }) => pending[Number(example.id)]!.shift()! },
    codec: { encode: ({ id }) => ({ tokens: groups[Number(id)]!.prompt, text: '' }), decode: () => '' },
    onStep: ({ metrics }) => void steps.push(metrics),
  })
  await trainer.train()
  return steps
}

function compareStep(got: LogEntry, expected: LogEntry, step: number): Difference[] {
  return Object.entries(expected).flatMap(([key, value]) => {
    if (notCompared.test(key) || value === null) return []
    const error = Math.abs((got[key] ?? Number.NaN) - value)
    return [{ what: `${key} of step ${step}`, error: finite(error), failed: !(error <= 1e-4) }]
  })
}

async function compareWeights(model: Model, folder: string): Promise<Difference[]> {
  const expected = await SafetensorsSet.open(folder)
  let [total, near, worst] = [0, 0, 0]
  try {
    for (const { name, read } of model.params.exportTensors()) {
      const [got, want] = [await read(), await expected.readFloat32(name)]
      for (let i = 0; i < want.length; i++) {
        const error = finite(Math.abs(got[i]! - want[i]!))
        total++
        if (error <= 1e-4) near++
        if (error > worst) worst = error
      }
    }
  } finally {
    await expected.close()
  }
  const share = near / total
  return [
    {
      what: `final weights (${(100 * share).toFixed(3)} % within 1e-4): the worst`,
      error: worst,
      failed: worst > 2e-3,
    },
    { what: 'the share of final weights that are not within 1e-4', error: 1 - share, failed: share < 0.999 },
  ]
}

const finite = (error: number) => (Number.isNaN(error) ? Number.POSITIVE_INFINITY : error)
