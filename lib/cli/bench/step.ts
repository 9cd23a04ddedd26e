import { GRPOTrainer } from '../../train/grpo.js'
import type { StepReport } from '../../train/loop.js'
import { type BenchModelOptions, benchRandom, openBenchModel, peakRss, randomTokens } from './common.js'

export interface BenchStepOptions extends BenchModelOptions {
  prompts: number
  group: number
  promptLen: number
  newTokens: number
  /** Steps that count, after one that does not. */
  steps: number
  tokensPerMicrobatch: number
}

export interface BenchStepResult {
  model: string
  dtype: string
  device: string
  prompts: number
  group: number
  prompt_len: number
  new_tokens: number
  s_per_step: number
  peak_rss_gb: number
  prefill_tok_s: number
  decode_tok_s: number
  /** Tokens of the G separate sequences of each prompt that forward, backward and update serve in a second. */
  train_tok_s: number
  /** Seconds of a step. */
  phases: Record<string, number>
}

/**
 * Times whole GRPO steps as `GRPOTrainer` makes them: rollouts of exactly `newTokens` tokens (a `shape:` model has no end token), a
 * random reward, loss, backward, AdamW; beta 0. The peer is TRL on the same shapes.
 */
export async function benchStep(options: BenchStepOptions): Promise<BenchStepResult> {
  const { prompts, group, promptLen, newTokens, steps } = options
  const model = await openBenchModel(options)
  const { vocabSize } = model.config
  const random = benchRandom(1)
  const measured: StepReport[] = []
  try {
    const dataset = Array.from({ length: prompts * (steps + 1) }, (_, i) => ({ id: `${i}`, messages: [], tools: [] }))
    const trainer = new GRPOTrainer({
      model,
      dataset,
      reward: () => random(),
      codec: {
        encode: ({ id }) => ({ tokens: randomTokens(promptLen, vocabSize, Number(id) + 1), text: '' }),
        decode: () => '',
      },
      config: {
        promptsPerStep: prompts,
        numGenerations: group,
        maxCompletionLength: newTokens,
        maxSteps: steps + 1,
        tokensPerMicrobatch: options.tokensPerMicrobatch,
        learningRate: 1e-6,
        kvMemory: '4GB',
      },
      onStep: (report) => {
        if (report.step > 1) measured.push(report)
      },
    })
    await trainer.train()
  } finally {
    model.dispose()
  }
  const mean = (name: string) => measured.reduce((sum, { metrics }) => sum + (metrics[name] ?? 0), 0) / measured.length
  const timings = Object.keys(measured[0]?.metrics ?? {}).filter((name) => name.startsWith('timing/'))
  const phases = Object.fromEntries(timings.map((name) => [name.slice('timing/'.length), mean(name)]))
  const perStep = mean('step_time')
  phases.other = perStep - Object.values(phases).reduce((sum, seconds) => sum + seconds, 0)
  const sequenceTokens = prompts * group * (promptLen + mean('completions/mean_length'))
  return {
    model: options.model,
    dtype: model.dtype,
    device: `${model.device.name}: ${model.device.description}`,
    prompts,
    group,
    prompt_len: promptLen,
    new_tokens: newTokens,
    s_per_step: perStep,
    ...peakRss(),
    prefill_tok_s: mean('throughput/prefill_tok_s'),
    decode_tok_s: mean('throughput/decode_tok_s'),
    train_tok_s: sequenceTokens / (mean('timing/forward_backward') + mean('timing/optimizer')),
    phases,
  }
}
