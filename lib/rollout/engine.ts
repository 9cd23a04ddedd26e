import { fail } from '../errors.js'
import { DecoderSteps } from '../nn/decode.js'
import { KvCache, kvPageSize } from '../nn/kv-cache.js'
import type { ParamStore } from '../nn/params.js'
import { runRollouts } from './generate.js'
import { Scheduler, sampleNeeds } from './scheduler.js'
import { checkRequest, defaultMaxBatch, defaultPrefillChunk } from './settings.js'
import type { GenerateRequest, Rollout, RolloutEngine } from './types.js'

/**
 * Draws completions from the weights in this process: no copy of them, no sync.
 *
 * The same (seed, step, prompt id, sample) gives the same tokens and log-probs bit for bit, whatever else is in the request
 * and however it is batched, and the log-probs are those of a training forward of the same group.
 */
export class LocalEngine implements RolloutEngine {
  constructor(private readonly params: ParamStore) {}

  /**
   * Calls that run at the same time share the device's stream: where an op of one fails, whichever awaits next is rejected.
   *
   * @throws RangeError `ERR_CONFIG` or `ERR_RANGE` for settings, tokens or prompts that do not fit the model;
   *   Error `ERR_MEMORY` when `kvMemory` cannot hold one completion of some prompt; Error `ERR_NAN` when logits are NaN
   */
  async generate(request: GenerateRequest): Promise<Rollout[]> {
    const { params } = this
    const { config, device, dtype } = params
    checkRequest(request, config)
    request.signal?.throwIfAborted()
    const { prompts, settings } = request
    const maxBatch = request.maxBatch ?? defaultMaxBatch
    const pageBytes = KvCache.pageBytes(config, dtype)
    const pages = pagesFor(request, maxBatch, pageBytes, config.maxPositionEmbeddings)
    const cache = new KvCache(config, device, dtype, pages)
    const model = new DecoderSteps(params, cache, settings)
    try {
      const scheduler = new Scheduler({
        prompts,
        promptIds: request.promptIds ?? prompts.map((_, i) => i),
        n: settings.n,
        maxTokens: settings.maxTokens,
        context: config.maxPositionEmbeddings,
        stop: settings.stop,
        pageSize: cache.pageSize,
        pages,
        maxBatch,
        prefillChunk: request.prefillChunk ?? defaultPrefillChunk,
        weightVersion: params.version,
      })
      const { rollouts, stats } = await runRollouts(scheduler, model, request)
      request.onStats?.({ ...stats, pages, pageBytes })
      return rollouts
    } finally {
      // Nothing waits for memory of the device: what is queued has run, or runs before anything that is given this memory.
      model.dispose()
      cache.dispose()
    }
  }
}

/** Pages to allocate: as many as the request could use at once, within the memory that it may use. */
function pagesFor(
  { prompts, settings, kvMemory }: GenerateRequest,
  maxBatch: number,
  pageBytes: number,
  context: number,
): number {
  const { n, maxTokens } = settings
  const limit = Math.floor(kvMemory / pageBytes)
  const needs = prompts.map((p) => sampleNeeds(p.length, { maxTokens, context, pageSize: kvPageSize }))
  for (const [i, { prefix, own }] of needs.entries()) {
    if (prefix + own <= limit) continue
    const bytes = (prefix + own) * pageBytes
    fail(
      'Error',
      'ERR_MEMORY',
      `[generate] expected kvMemory of at least ${bytes} bytes: prompt ${i} of ${prompts[i]!.length} tokens with up to ` +
        `${maxTokens} new ones needs ${prefix + own} pages of ${pageBytes} bytes, got ${kvMemory}; shorter prompts or ` +
        'completions need less',
    )
  }
  const sum = (value: (need: (typeof needs)[number]) => number) => needs.reduce((total, need) => total + value(need), 0)
  const most = (value: (need: (typeof needs)[number]) => number) =>
    needs.reduce((m, need) => Math.max(m, value(need)), 0)
  const all = sum(({ prefix, own }) => prefix + n * own)
  const atOnce = maxBatch * most(({ own }) => own) + Math.min(prompts.length, maxBatch) * most(({ prefix }) => prefix)
  return Math.min(limit, all, atOnce)
}
