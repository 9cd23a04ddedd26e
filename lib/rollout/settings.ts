import { fail } from '../errors.js'
import type { DecoderConfig } from '../nn/config.js'
import type { GenerateRequest, SamplingSettings } from './types.js'

/** Settings that draw from the model's own distribution, one completion a prompt. */
export const defaultSampling: SamplingSettings = {
  n: 1,
  maxTokens: 256,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  stop: [],
  seed: 0,
  step: 0,
}

export const defaultMaxBatch = 256
export const defaultPrefillChunk = 1024

type Limits = Pick<DecoderConfig, 'vocabSize' | 'maxPositionEmbeddings'>

/**
 * Refuses what cannot be drawn, before anything is allocated.
 *
 * @throws `ERR_CONFIG` for a setting, `ERR_RANGE` for a token or prompt
 */
export function checkRequest(request: GenerateRequest, config: Limits): void {
  const { settings: s, prompts, promptIds } = request
  const { vocabSize, maxPositionEmbeddings: context } = config
  const setting = (ok: boolean, name: string, expected: string, got: unknown) => {
    if (!ok) fail('RangeError', 'ERR_CONFIG', `[generate] expected ${name} to be ${expected}, got ${String(got)}`)
  }
  const whole = (name: string, value: unknown, least: number, most = 0x7fffffff) =>
    setting(
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
      name,
      `a whole number of at least ${least}`,
      value,
    )
  whole('n', s.n, 1)
  whole('maxTokens', s.maxTokens, 0)
  whole('topK', s.topK, 0)
  whole('seed', s.seed, 0, 0xffffffff)
  whole('step', s.step, 0, 0xffffffff)
  setting(Number.isFinite(s.temperature) && s.temperature >= 0, 'temperature', 'at least 0', s.temperature)
  setting(s.topP > 0 && s.topP <= 1, 'topP', 'in (0, 1]', s.topP)
  setting(s.minP >= 0 && s.minP <= 1, 'minP', 'in [0, 1]', s.minP)
  setting(request.kvMemory > 0, 'kvMemory', 'a number of bytes', request.kvMemory)
  if (request.maxBatch !== undefined) whole('maxBatch', request.maxBatch, 1)
  if (request.prefillChunk !== undefined) whole('prefillChunk', request.prefillChunk, 1)
  const isToken = (t: unknown) => Number.isInteger(t) && (t as number) >= 0 && (t as number) < vocabSize
  for (const t of s.stop) setting(isToken(t), 'stop', `tokens below ${vocabSize}`, t)
  for (const [i, prompt] of prompts.entries()) {
    if (prompt.length === 0)
      fail('RangeError', 'ERR_RANGE', `[generate] expected prompt ${i} to have a token, got none`)
    if (prompt.length > context) {
      fail(
        'RangeError',
        'ERR_RANGE',
        `[generate] expected prompts of at most ${context} tokens, prompt ${i} has ${prompt.length}`,
      )
    }
    const wrong = prompt.findIndex((t) => !isToken(t))
    if (wrong >= 0) {
      fail(
        'RangeError',
        'ERR_RANGE',
        `[generate] expected tokens below ${vocabSize}, got ${String(prompt[wrong])} at ${wrong} of prompt ${i}`,
      )
    }
  }
  if (promptIds && promptIds.length !== prompts.length) {
    fail('RangeError', 'ERR_SHAPE', `[generate] expected ${prompts.length} promptIds, got ${promptIds.length}`)
  }
  for (const id of promptIds ?? []) whole('promptIds', id, 0)
}
