import type { ParamStore } from '../../nn/params.js'
import { LocalEngine } from '../../rollout/engine.js'
import type { RolloutStats } from '../../rollout/meter.js'
import { defaultSampling } from '../../rollout/settings.js'
import type { Device } from '../../tensor/device.js'
import { copy } from '../../tensor/ops.generated.js'
import { dtypeBytes, empty, product, tensor } from '../../tensor/tensor.js'
import { type BenchModelOptions, openBenchModel, peakRss, randomTokens } from './common.js'

export interface BenchDecodeOptions extends BenchModelOptions {
  sequences: number
  prompt: number
  new: number
  /** All sequences have the same prompt, as in a GRPO group; otherwise each has its own. */
  sharedPrompt: boolean
  kvMemory: number
}

export interface BenchDecodeResult {
  model: string
  dtype: string
  device: string
  sequences: number
  prompt: number
  new: number
  shared_prompt: boolean
  prefill_tok_s: number
  decode_tok_s: number
  /** Milliseconds of a decode step. */
  step_ms: number
  peak_rss_gb: number
  /** Seconds. */
  phases: { prefill: number; decode: number }
  /** What every decode step reads of the weights, in 10^9 bytes. */
  weights_gb: number
  /** Bytes a second that a copy between two large buffers moves, reads and writes both counted, in this run. */
  bandwidth_gb_s: number
  /** Bytes of weights a second that decoding reads, as a part of that bandwidth. */
  bandwidth_used: number
}

/**
 * Times rollouts of exactly `new` tokens: prefill and decode apart, and decode against the memory bandwidth, which is its
 * floor at one sequence. The peer is llama.cpp on the same shapes.
 */
export async function benchDecode(options: BenchDecodeOptions): Promise<BenchDecodeResult> {
  const model = await openBenchModel(options)
  const { params, config, device } = model
  const { sequences, sharedPrompt: shared } = options
  const engine = new LocalEngine(params)
  const run = async (newTokens: number) => {
    const prompts = Array.from({ length: shared ? 1 : sequences }, (_, i) =>
      randomTokens(options.prompt, config.vocabSize, i + 1),
    )
    const out: { stats?: RolloutStats } = {}
    await engine.generate({
      prompts,
      settings: { ...defaultSampling, n: shared ? sequences : 1, maxTokens: newTokens, temperature: 0.7 },
      kvMemory: options.kvMemory,
      maxBatch: sequences,
      onStats: (stats) => {
        out.stats = stats
      },
    })
    return out.stats!
  }
  await run(2) // touches the memory and makes what is made once
  const before = await copyBandwidth(device)
  const stats = await run(options.new)
  // The machine's share may change while we measure: the better of the two is the one that decoding had to beat.
  const bandwidth = Math.max(before, await copyBandwidth(device))
  const weights = weightBytes(params)
  const result: BenchDecodeResult = {
    model: options.model,
    dtype: model.dtype,
    device: `${device.name}: ${device.description}`,
    sequences,
    prompt: options.prompt,
    new: options.new,
    shared_prompt: shared,
    prefill_tok_s: Math.round(stats.prefillTokens / stats.prefillSeconds),
    decode_tok_s: Math.round((10 * stats.decodeTokens) / stats.decodeSeconds) / 10,
    step_ms: (1000 * stats.decodeSeconds) / stats.decodeSteps,
    ...peakRss(),
    phases: { prefill: stats.prefillSeconds, decode: stats.decodeSeconds },
    weights_gb: weights / 1e9,
    bandwidth_gb_s: bandwidth / 1e9,
    bandwidth_used: (weights * stats.decodeSteps) / stats.decodeSeconds / bandwidth,
  }
  model.dispose()
  return result
}

/** Bytes of the matrices that a decode step multiplies with. */
function weightBytes(params: ParamStore): number {
  let values = 0
  for (const p of params.params) if (p.forward) values += product(p.spec.shape)
  return values * dtypeBytes[params.dtype]
}

/** Bytes a second that copies between buffers larger than any cache move, the best of a few. */
async function copyBandwidth(device: Device): Promise<number> {
  const values = 48 * 2 ** 20
  const from = tensor(new Float32Array(values), [values], { device })
  const to = empty([values], { device })
  try {
    copy(from, to)
    await device.synchronize()
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < 5; i++) {
      const start = performance.now()
      copy(from, to)
      await device.synchronize()
      best = Math.min(best, (performance.now() - start) / 1000)
    }
    return (2 * 4 * values) / best
  } finally {
    from.dispose()
    to.dispose()
  }
}
