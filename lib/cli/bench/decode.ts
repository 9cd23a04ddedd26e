import { opNamed } from '../../conformance/harness.js'
import type { ParamStore } from '../../nn/params.js'
import { LocalEngine } from '../../rollout/engine.js'
import type { RolloutStats } from '../../rollout/meter.js'
import { defaultSampling } from '../../rollout/settings.js'
import type { Device } from '../../tensor/device.js'
import { fill } from '../../tensor/ops.generated.js'
import { dtypeBytes, empty, product } from '../../tensor/tensor.js'
import { type BenchModelOptions, openBenchModel, peakRss, randomTokens } from './common.js'
import { disposeAll } from './op-call.js'
import { Sampler } from './op-timing.js'

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
  /** 10^9 bytes a second that this device reads from memory, measured in this run. */
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
  const stats = await run(options.new)
  const memory = peakRss() // before the bandwidth's buffer
  const bandwidth = await readBandwidth(device)
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
    ...memory,
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

/**
 * Bytes a second that the device reads from memory, the best of a few passes over a buffer larger than any cache. A sum of
 * squares reads and hardly writes, as decoding does.
 */
async function readBandwidth(device: Device): Promise<number> {
  const values = 64 * 2 ** 20
  const inputs = { x: empty([values], { device }), into: empty([1], { device }) }
  try {
    fill(inputs.x, { value: 1 })
    const sampler = await Sampler.of({ op: opNamed('sumSquares'), inputs, attrs: {} }, device)
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < 6; i++) best = Math.min(best, (await sampler.sample()).time)
    sampler.dispose()
    return (dtypeBytes.f32 * values * 1e6) / best
  } finally {
    disposeAll(inputs)
  }
}
