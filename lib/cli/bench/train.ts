import type { StepReport } from '../../train/loop.js'
import { SFTTrainer } from '../../train/sft.js'
import { type BenchModelOptions, openBenchModel, peakRss, randomTokens } from './common.js'

export interface BenchTrainOptions extends BenchModelOptions {
  sequences: number
  len: number
  /** Steps that count, after one that does not. */
  steps: number
  tokensPerMicrobatch: number
}

export interface BenchTrainResult {
  model: string
  dtype: string
  device: string
  sequences: number
  len: number
  train_tok_s: number
  s_per_step: number
  peak_rss_gb: number
  /** Seconds of a step. */
  phases: Record<string, number>
}

/**
 * Times supervised steps as `SFTTrainer` makes them: forward, backward and AdamW over `sequences` sequences of `len` random tokens, loss
 * on every token. The peer is transformers on the same shapes.
 */
export async function benchTrain(options: BenchTrainOptions): Promise<BenchTrainResult> {
  const { sequences, len, steps } = options
  const model = await openBenchModel(options)
  const { vocabSize } = model.config
  const measured: StepReport[] = []
  try {
    const dataset = Array.from({ length: sequences * (steps + 1) }, (_, i) => ({ id: `${i}`, messages: [], tools: [] }))
    const trainer = new SFTTrainer({
      model,
      dataset,
      encode: ({ id }) => ({
        tokens: Int32Array.from(randomTokens(len, vocabSize, Number(id) + 1)),
        mask: new Uint8Array(len).fill(1),
      }),
      config: {
        examplesPerStep: sequences,
        maxSteps: steps + 1,
        tokensPerMicrobatch: options.tokensPerMicrobatch,
        learningRate: 1e-5,
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
  const perStep = mean('step_time')
  const phases: Record<string, number> = {
    forward_backward: mean('timing/forward_backward'),
    optimizer: mean('timing/optimizer'),
  }
  phases.other = perStep - phases.forward_backward! - phases.optimizer!
  return {
    model: options.model,
    dtype: model.dtype,
    device: `${model.device.name}: ${model.device.description}`,
    sequences,
    len,
    train_tok_s: (sequences * len) / perStep,
    s_per_step: perStep,
    ...peakRss(),
    phases,
  }
}
