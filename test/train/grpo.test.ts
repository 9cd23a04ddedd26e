import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RewardFunction } from '../../lib/reward/types.js'
import type { GRPOOptions } from '../../lib/train/config.js'
import { GRPOTrainer, type GRPOTrainerOptions } from '../../lib/train/grpo.js'
import { differing, tinyDataset, tinyModel, tokenCodec, weightsOf } from './support.js'

const test = suite<{ path: string }>('grpo')
test.before.each((context) => {
  context.path = mkdtempSync(join(tmpdir(), 'callgrad-grpo-'))
})
test.after.each(({ path }) => rmSync(path, { recursive: true, force: true }))

/** Share of even tokens: something that a random model can do more of or less of. */
const evenTokens: RewardFunction = ({ tokens }) => tokens.filter((t) => t % 2 === 0).length / Math.max(tokens.length, 1)

const base: GRPOOptions = {
  maxSteps: 8,
  promptsPerStep: 2,
  numGenerations: 3,
  maxCompletionLength: 6,
  learningRate: 1e-2,
  updatesPerGeneration: 2,
  numIterations: 2,
  beta: 0.04,
  weightDecay: 0.1,
  kvMemory: '16MB',
  saveSteps: 0,
  saveTotalLimit: null,
}

interface Run {
  config?: GRPOOptions
  reward?: RewardFunction
  options?: Partial<GRPOTrainerOptions>
  seed?: number
}

/** Trains a fresh tiny model; `stopAfter` asks for a stop in the middle of that update's report. */
async function train({ config, reward = evenTokens, options, seed }: Run, stopAfter = Number.POSITIVE_INFINITY) {
  const model = tinyModel(seed)
  const reports: { step: number; metrics: Record<string, number>; notes: string[] }[] = []
  const trainer = new GRPOTrainer({
    model,
    dataset: tinyDataset,
    reward,
    codec: tokenCodec,
    config: { ...base, ...config },
    onStep: (report) => {
      reports.push(report)
      if (report.step >= stopAfter) trainer.stop()
    },
    ...options,
  })
  try {
    const summary = await trainer.train()
    return { summary, reports, weights: await weightsOf(model) }
  } finally {
    model.dispose()
  }
}

const linesOf = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
const withoutClocks = (line: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(line).filter(([key]) => !/^(timing|memory|throughput)\/|^step_time$/.test(key)))
const rejected = async (work: Promise<unknown>): Promise<Error & { code?: string }> => {
  const error = await work.then(
    () => null,
    (reason) => reason,
  )
  assert.ok(error, 'it did not fail')
  return error
}

test('a run that is stopped after any update and resumed is the run that was never stopped: weights and logs', async ({
  path,
}) => {
  const whole = await train({ config: { outputDir: join(path, 'whole') } })
  assert.is(whole.summary.step, 8)
  const untrained = tinyModel()
  assert.ok(differing(whole.weights, await weightsOf(untrained)).length > 10)
  untrained.dispose()
  for (let stop = 1; stop < 8; stop++) {
    const outputDir = join(path, `stop-${stop}`)
    const first = await train({ config: { outputDir } }, stop)
    assert.ok(first.summary.stopped)
    assert.is(first.summary.step, stop)
    const second = await train({ config: { outputDir }, options: { resume: true } })
    assert.equal(differing(second.weights, whole.weights), [], `stopped after ${stop}`)
    for (const file of ['metrics.jsonl', 'completions.jsonl']) {
      const got = linesOf(join(outputDir, file)).map(withoutClocks)
      assert.equal(got, linesOf(join(path, 'whole', file)).map(withoutClocks), `${file}, stopped after ${stop}`)
    }
  }
})

test('resuming from an older checkpoint cuts the logs back to it', async ({ path }) => {
  const outputDir = join(path, 'run')
  const whole = await train({ config: { outputDir, saveSteps: 3 } })
  const before = linesOf(join(outputDir, 'metrics.jsonl')).map(withoutClocks)
  const again = await train({
    config: { outputDir },
    options: { resume: join(outputDir, 'checkpoints', 'step-000003') },
  })
  assert.is(again.reports[0]!.step, 4)
  assert.equal(differing(again.weights, whole.weights), [])
  assert.equal(linesOf(join(outputDir, 'metrics.jsonl')).map(withoutClocks), before)
})

test('a reward that throws names the example and costs nothing that was reached', async ({ path }) => {
  const outputDir = join(path, 'run')
  const whole = await train({})
  let calls = 0
  const fragile: RewardFunction = (sample) => {
    if (++calls === 8) throw new Error('no connection')
    return evenTokens(sample)
  }
  const error = await rejected(train({ config: { outputDir }, reward: fragile }))
  assert.is(error.code, 'ERR_REWARD')
  assert.match(error.message, /"fragile" on example "example-\d" threw: no connection/)
  assert.equal(readdirSync(join(outputDir, 'checkpoints')), ['step-000004'])
  const resumed = await train({ config: { outputDir }, options: { resume: true } })
  assert.equal(differing(resumed.weights, whole.weights), [])
})

test('tokensPerMicrobatch changes memory, not the result', async () => {
  const config: GRPOOptions = { maxSteps: 4, promptsPerStep: 4, beta: 0.1 }
  const whole = await train({ config: { ...config, tokensPerMicrobatch: 4096 } })
  for (const tokensPerMicrobatch of [1, 9, 20]) {
    const cut = await train({ config: { ...config, tokensPerMicrobatch } })
    for (const [i, { metrics }] of whole.reports.entries()) {
      for (const key of ['loss', 'grad_norm', 'kl', 'entropy', 'reward', 'clip_ratio/region_mean']) {
        if (metrics[key] === undefined) continue
        const error = Math.abs(cut.reports[i]!.metrics[key]! - metrics[key])
        assert.ok(error < 1e-4, `${key} of step ${i + 1} at ${tokensPerMicrobatch}: off by ${error}`)
      }
    }
  }
})

test('the trainer scores what the sampler drew with the very same log-probs', async () => {
  const { reports } = await train({ config: { maxSteps: 12, temperature: 0.7, topP: 0.9 } })
  const differences = reports.flatMap(({ metrics }) => metrics['sampling/sampling_logp_difference/max'] ?? [])
  assert.ok(differences.length >= 3)
  assert.ok(
    differences.every((x) => x <= 1e-5),
    String(differences),
  )
})

test('rewards rise', async () => {
  const config: GRPOOptions = { maxSteps: 40, numGenerations: 8, updatesPerGeneration: 1, numIterations: 1, beta: 0 }
  const { reports } = await train({ config: { ...config, maxCompletionLength: 8 } })
  const mean = (from: number, to: number) =>
    reports.slice(from, to).reduce((sum, { metrics }) => sum + metrics.reward!, 0) / (to - from)
  assert.ok(mean(32, 40) > mean(0, 8) + 0.2, `${mean(0, 8)} to ${mean(32, 40)}`)
})

test('equal rewards: the loss is 0, the weights stay, and the log says why', async () => {
  const config: GRPOOptions = { maxSteps: 1, beta: 0, weightDecay: 0, updatesPerGeneration: 1 }
  const { reports, weights } = await train({ config, reward: () => 1 })
  const [{ metrics, notes }] = reports as [(typeof reports)[number]]
  assert.is(metrics.loss, 0)
  assert.is(metrics.grad_norm, 0)
  assert.is(metrics.frac_reward_zero_std, 1)
  assert.match(notes.join(), /Each of the 2 groups had equal rewards .* this step teaches nothing/)
  const untrained = tinyModel()
  assert.equal(differing(weights, await weightsOf(untrained)), [])
  untrained.dispose()
})

test('KL to the initial model starts at 0 and grows; other initial weights are refused on resume', async ({ path }) => {
  const outputDir = join(path, 'run')
  const { reports } = await train({ config: { outputDir, beta: 0.01 } }, 4)
  assert.ok(Math.abs(reports[0]!.metrics.kl!) < 1e-6)
  assert.ok(reports[3]!.metrics.kl! > 1e-6)
  const error = await rejected(train({ config: { outputDir, beta: 0.01 }, options: { resume: true }, seed: 2 }))
  assert.match(error.message, /expected the model that the run started from/)
})

test('truncated completions can be left out of the loss', async () => {
  const config: GRPOOptions = { maxSteps: 1, beta: 0, maskTruncatedCompletions: true, maxCompletionLength: 2 }
  const rollout: GRPOTrainerOptions['rollout'] = async (prompts) =>
    prompts.flatMap(({ prompt }) => [
      { prompt, sample: 0, tokens: [2, 4], finishReason: 'length' as const },
      { prompt, sample: 1, tokens: [5, 0], finishReason: 'stop' as const },
      { prompt, sample: 2, tokens: [7, 9], finishReason: 'length' as const },
    ])
  const masked = await train({ config, options: { rollout } })
  const kept = await train({ config: { ...config, maskTruncatedCompletions: false }, options: { rollout } })
  assert.is(masked.reports[0]!.metrics['completions/clipped_ratio'], 2 / 3)
  assert.ok(masked.reports[0]!.metrics.grad_norm !== kept.reports[0]!.metrics.grad_norm)
  const none: GRPOTrainerOptions['rollout'] = async (prompts) =>
    (await rollout(prompts)).map((r) => ({ ...r, finishReason: 'length' }))
  const nothing = await train({ config, options: { rollout: none } })
  assert.is(nothing.reports[0]!.metrics.grad_norm, 0)
})

test('log-probs of another engine are measured against the trainer, and corrected for', async () => {
  const config: GRPOOptions = { maxSteps: 2, updatesPerGeneration: 2, numIterations: 1, beta: 0 }
  const rollout: GRPOTrainerOptions['rollout'] = async (prompts) =>
    prompts.flatMap(({ prompt }) =>
      [0, 1, 2].map((sample) => {
        const tokens = [2 + sample, 9, 0]
        return { prompt, sample, tokens, logprobs: Float32Array.of(-9, -9, -9), finishReason: 'stop' as const }
      }),
    )
  const plain = await train({ config, options: { rollout } })
  assert.ok(plain.reports[0]!.metrics['sampling/sampling_logp_difference/max']! > 1)
  const corrected = await train({
    config: { ...config, importanceSamplingMode: 'token_truncate' },
    options: { rollout },
  })
  assert.is(corrected.reports[0]!.metrics['sampling/importance_sampling_ratio/max'], 3)
  assert.ok(corrected.reports[0]!.metrics.grad_norm! > plain.reports[0]!.metrics.grad_norm!)
})

test('weights that are not finite end the run with the step and what to look at; the checkpoint before is intact', async ({
  path,
}) => {
  const outputDir = join(path, 'run')
  const model = tinyModel()
  const trainer = new GRPOTrainer({
    model,
    dataset: tinyDataset,
    reward: evenTokens,
    codec: tokenCodec,
    config: { ...base, outputDir, saveSteps: 1 },
    rollout: async (prompts) =>
      prompts.flatMap(({ prompt }) =>
        [0, 1].map((sample) => ({ prompt, sample, tokens: [2 + sample, 0], finishReason: 'stop' as const })),
      ),
    onStep: ({ step }) => {
      if (step !== 2) return
      model.params.importTensor('model.norm.weight', new Float32Array(24).fill(Number.NaN))
      model.params.refresh()
    },
  })
  const error = await rejected(trainer.train())
  assert.is(error.code, 'ERR_NONFINITE')
  assert.match(error.message, /step 3: a log-prob of the model is NaN; .*look at learningRate/)
  model.dispose()
  const resumed = await train({
    config: { outputDir, maxSteps: 1 },
    options: { resume: join(outputDir, 'checkpoints', 'step-000001') },
  })
  assert.is(resumed.summary.step, 1)
})

test('wrong rollouts, prompts and settings are one clear error each', async () => {
  const rollouts = (rollout: Record<string, unknown>) => async () => [
    { prompt: 0, sample: 0, tokens: [1], finishReason: 'stop' as const, ...rollout },
  ]
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ prompt: 5 }, /expected a prompt below 2, got 5/],
    [{ tokens: [1, 99] }, /prompt 0, sample 0: expected token ids below 53, got 99/],
    [{ finishReason: 'eos' }, /expected finishReason "stop" or "length", got eos/],
    [{ logprobs: new Float32Array(2) }, /expected 1 log-probs, got 2/],
    [{}, /expected completions of prompt 1, got none/],
  ]
  for (const [rollout, message] of cases) {
    assert.match((await rejected(train({ options: { rollout: rollouts(rollout) } }))).message, message)
  }
  assert.match(
    (await rejected(train({ config: { maxPromptLength: 6 }, options: { dataset: [] } }))).message,
    /data set with examples/,
  )
  assert.match((await rejected(train({ config: { maxCompletionLength: 64 } }))).message, /context of 64, got 64/)
  const long = tinyDataset.filter(({ extra }) => (extra!.tokens as number[]).length > 2)
  const error = await rejected(train({ config: { maxPromptLength: 2 }, options: { dataset: long } }))
  assert.match(error.message, /expected examples of 1 to 2 tokens, got none in 4: example-\d \(\d\)/)
})

test('prompts that are too long are passed over and listed', async () => {
  const { reports, summary } = await train({ config: { maxPromptLength: 3, maxSteps: 16 } })
  assert.is(summary.step, 16)
  assert.match(reports.flatMap(({ notes }) => notes).join(' '), /Left out \d+ examples without 1 to 3 tokens: example-/)
})

test.run()
