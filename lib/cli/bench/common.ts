import { createModel, loadModel, type Model } from '../../model.js'
import { shapeConfig } from '../../nn/shapes.js'

export interface BenchModelOptions {
  /** A folder, a GGUF file, a hub id, or `shape:NAME` for random weights. */
  model: string
  device: string
  dtype: 'f32' | 'bf16' | 'auto'
}

/** The model of a benchmark. A shape has no end token, so that every completion has the length that was asked for. */
export async function openBenchModel({ model, device, dtype }: BenchModelOptions): Promise<Model> {
  if (!model.startsWith('shape:')) return loadModel(model, { device, dtype })
  return createModel({ ...shapeConfig(model.slice('shape:'.length)), eosTokenIds: [] }, { device, dtype })
}

/** Numbers in [0, 1) from a linear congruential generator: benchmarks draw the same inputs every time. */
export function benchRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Token ids away from the first ten, where special tokens live. */
export function randomTokens(count: number, vocabSize: number, seed: number): number[] {
  const random = benchRandom(seed)
  return Array.from({ length: count }, () => Math.min(vocabSize - 1, 10 + Math.floor(random() * (vocabSize - 10))))
}

/** The process's highest resident memory so far, in units of 2^30 bytes as the peers' scripts print it. */
export function peakRss(): { peak_rss_gb: number } {
  return { peak_rss_gb: Math.round((process.resourceUsage().maxRSS / 2 ** 20) * 100) / 100 }
}
