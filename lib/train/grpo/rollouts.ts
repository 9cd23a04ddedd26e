import type { Example } from '../../data/example.js'
import { fail } from '../../errors.js'
import type { RolloutStats } from '../../rollout/meter.js'
import type { Rollout, RolloutEngine, RolloutProgress } from '../../rollout/types.js'
import type { GRPOConfig } from '../config.js'
import type { Sample } from '../generation.js'
import type { DrawnPrompt } from './prompts.js'

/** A prompt as a `rollout` hook gets it. */
export interface RolloutPrompt {
  /** Its index, for `Rollout.prompt`. */
  prompt: number
  tokens: number[]
  text: string
  example: Example
  /** Completions wanted. */
  n: number
  /** Generations made before: with the seed, the key of anything random. */
  step: number
}

/** A completion made elsewhere. `logprobs` and `weightVersion` may be missing; the trainer then computes what it needs. */
export type ExternalRollout = Omit<Rollout, 'logprobs' | 'weightVersion'> &
  Partial<Pick<Rollout, 'logprobs' | 'weightVersion'>>

/** Brings completions made elsewhere: another engine, a replay. At least one for each prompt, in any order. */
export type RolloutHook = (prompts: RolloutPrompt[]) => Promise<ExternalRollout[]>

/**
 * Sorts rollouts by prompt and sample, and checks what came from outside.
 *
 * @throws RangeError or TypeError (ERR_ROLLOUT) that names the rollout and what is wrong with it
 */
export function collectSamples(
  prompts: readonly DrawnPrompt[],
  rollouts: readonly ExternalRollout[],
  { vocabSize, maskTruncated }: { vocabSize: number; maskTruncated: boolean },
): Sample[][] {
  const groups: ExternalRollout[][] = prompts.map(() => [])
  for (const rollout of rollouts) {
    const group = groups[rollout.prompt]
    if (!group) {
      fail('RangeError', 'ERR_ROLLOUT', `[rollout] expected a prompt below ${prompts.length}, got ${rollout.prompt}`)
    }
    group.push(rollout)
  }
  return groups.map((group, prompt) => {
    if (group.length === 0)
      fail('RangeError', 'ERR_ROLLOUT', `[rollout] expected completions of prompt ${prompt}, got none`)
    group.sort((a, b) => a.sample - b.sample)
    return group.map((rollout) => sampleOf(rollout, vocabSize, maskTruncated))
  })
}

function sampleOf(rollout: ExternalRollout, vocabSize: number, maskTruncated: boolean): Sample {
  const { tokens, logprobs, finishReason } = rollout
  const where = `[rollout] prompt ${rollout.prompt}, sample ${rollout.sample}:`
  if (finishReason !== 'stop' && finishReason !== 'length') {
    fail('TypeError', 'ERR_ROLLOUT', `${where} expected finishReason "stop" or "length", got ${finishReason}`)
  }
  const bad = tokens.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= vocabSize)
  if (bad >= 0) fail('RangeError', 'ERR_ROLLOUT', `${where} expected token ids below ${vocabSize}, got ${tokens[bad]}`)
  if (logprobs && logprobs.length !== tokens.length) {
    fail('RangeError', 'ERR_ROLLOUT', `${where} expected ${tokens.length} log-probs, got ${logprobs.length}`)
  }
  return {
    tokens: Int32Array.from(tokens),
    finishReason,
    sampled: logprobs ? Float32Array.from(logprobs) : null,
    old: null,
    reference: null,
    reward: Number.NaN,
    advantage: 0,
    counted: !(maskTruncated && finishReason === 'length'),
  }
}

/** Where completions come from. */
export interface RolloutSource {
  /** True where another engine draws them: its log-probs are then not taken for the trainer's. */
  external: boolean
  draw(prompts: readonly DrawnPrompt[], generation: number): Promise<Drawn>
}

export interface Drawn {
  rollouts: ExternalRollout[]
  /** What the engine says of its speed. */
  metrics: Record<string, number>
}

/** A user's hook as a source. */
export function hookSource(hook: RolloutHook, n: number): RolloutSource {
  return {
    external: true,
    async draw(prompts, generation) {
      const wanted = prompts.map(({ tokens, text, example }, prompt) => {
        return { prompt, tokens: Array.from(tokens), text, example, n, step: generation }
      })
      return { rollouts: await hook(wanted), metrics: {} }
    },
  }
}

/** This process's engine as a source: it reads the store that the optimizer has just written. */
export function engineSource(
  engine: RolloutEngine,
  config: GRPOConfig,
  stop: number[],
  onProgress?: (progress: RolloutProgress) => void,
): RolloutSource {
  const { numGenerations: n, maxCompletionLength: maxTokens, temperature, topK, topP, minP, seed, kvMemory } = config
  return {
    external: false,
    async draw(prompts, step) {
      let metrics: Record<string, number> = {}
      const rollouts = await engine.generate({
        prompts: prompts.map(({ tokens }) => Array.from(tokens)),
        settings: { n, maxTokens, temperature, topK, topP, minP, stop, seed, step },
        kvMemory,
        onStats: (stats) => {
          metrics = speedOf(stats)
        },
        ...(onProgress && { onProgress }),
      })
      return { rollouts, metrics }
    },
  }
}

function speedOf({ prefillTokens, prefillSeconds, decodeTokens, decodeSeconds }: RolloutStats): Record<string, number> {
  return {
    'throughput/prefill_tok_s': prefillTokens / Math.max(prefillSeconds, 1e-9),
    'throughput/decode_tok_s': decodeTokens / Math.max(decodeSeconds, 1e-9),
  }
}
