import type { DecoderConfig } from '../../nn/config.js'
import { KvCache, kvPageSize } from '../../nn/kv-cache.js'
import { memoryPlan } from '../../nn/memory-plan.js'
import { type ComputeDType, ParamStore } from '../../nn/params.js'
import { sampleNeeds } from '../../rollout/scheduler.js'

/** What of a run's settings decides its memory. */
export interface MemorySettings {
  dtype: ComputeDType
  /** The device keeps weights in layouts of its GEMM's own (the cpu does), not in rows: more copies. */
  packedWeights: boolean
  tokensPerMicrobatch: number
  gradientCheckpointing: boolean
  /** Tokens of the longest prompt and of the longest answer; a microbatch holds at least one of both. */
  maxPrompt: number
  maxCompletion: number
  /** Null: nothing is drawn. */
  kvMemory: number | null
  /** A frozen copy of the weights stays (beta > 0). */
  reference: boolean
}

/** Bytes on the device, by what they are for. */
export interface MemoryParts {
  masters: number
  copies: number
  reference: number
  gradients: number
  moments: number
  activations: number
  kv: number
}

/** The peak of a run on one device; see lib/nn/memory-plan.ts for what is in it. */
export function memoryParts(config: DecoderConfig, settings: MemorySettings): MemoryParts {
  const { dtype, tokensPerMicrobatch, maxPrompt, maxCompletion, kvMemory, reference } = settings
  const plan = memoryPlan({
    config,
    dtype,
    device: settings,
    rowsPerMicrobatch: Math.max(tokensPerMicrobatch, maxPrompt + maxCompletion),
    kvMemory: kvMemory ?? 0,
    train: true,
    reference,
    checkpointActivations: settings.gradientCheckpointing,
  })
  const weights = ParamStore.bytes(config, dtype, settings)
  return {
    masters: weights.master,
    copies: weights.compute,
    reference: reference ? weights.frozen : 0,
    gradients: plan.grads,
    moments: plan.optimizer,
    activations: plan.activations,
    kv: plan.kv,
  }
}

export const totalOf = (parts: MemoryParts): number => Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)

/** Bytes for keys and values that one longest answer to one longest prompt needs: with less, nothing can be drawn. */
export function leastKv(config: DecoderConfig, { dtype, maxPrompt, maxCompletion }: MemorySettings): number {
  return pagesOf(config, maxPrompt, maxCompletion) * KvCache.pageBytes(config, dtype)
}

/** Longest answers, each to a prompt of its own, that fit into `kvMemory` together. */
export function answersAtOnce(config: DecoderConfig, settings: MemorySettings): number {
  return settings.kvMemory === null ? 0 : Math.floor(settings.kvMemory / leastKv(config, settings))
}

function pagesOf(config: DecoderConfig, prompt: number, completion: number): number {
  const limits = { maxTokens: completion, context: config.maxPositionEmbeddings, pageSize: kvPageSize }
  const { own, prefix } = sampleNeeds(prompt, limits)
  return own + prefix
}
