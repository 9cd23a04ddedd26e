import type { StepModel, StepResult } from '../nn/step-model.js'
import { PhaseClock, type RolloutStats } from './meter.js'
import type { Scheduler } from './scheduler.js'
import type { GenerateRequest, Rollout } from './types.js'

/** Progress is reported at most this often. */
const progressSeconds = 0.1

/** A step that is queued, and the last batch of prompts queued before it: where that failed, what the step drew means nothing. */
interface Flight {
  prompts: Promise<void> | null
  result: Promise<StepResult>
}

/**
 * Runs a scheduler's plan on a model until every completion has ended. One decode step is always queued ahead of the one
 * that is being read, so the device never waits for JS.
 *
 * The model is not disposed; on an error or an abort everything queued has run before the promise rejects.
 */
export async function runRollouts(
  scheduler: Scheduler,
  model: StepModel,
  { onProgress, onToken, signal }: Pick<GenerateRequest, 'onProgress' | 'onToken' | 'signal'>,
): Promise<{ rollouts: Rollout[]; stats: Omit<RolloutStats, 'pages' | 'pageBytes'> }> {
  const clock = new PhaseClock()
  const report = progressReporter(scheduler, onProgress)
  /** Everything queued that has not finished: an error must wait for it. */
  const queued = new Set<Promise<unknown>>()
  const track = <T>(phase: 'prefill' | 'decode', work: Promise<T>): Promise<T> => {
    const finish = clock.start(phase)
    const tracked = work.finally(() => {
      finish()
      queued.delete(tracked)
    })
    queued.add(tracked)
    // A step that fails may have a successor that nobody gets to await.
    tracked.catch(() => {})
    return tracked
  }
  let steps = 0
  let rows = 0
  try {
    let flying: Flight | null = null
    for (;;) {
      signal?.throwIfAborted()
      let prompts: Promise<void> | null = null
      for (const pieces of scheduler.admit()) {
        const batch = track('prefill', model.prefill(pieces))
        await prompts // at most two batches are queued: a long list of prompts can be aborted, too
        signal?.throwIfAborted()
        prompts = batch
      }
      let next: Flight | null = null
      if (scheduler.rows > 0) {
        const { batch, ownPages } = scheduler.prepare()
        if (batch) model.compose(batch)
        if (ownPages) model.growPages(ownPages)
        next = { prompts, result: track('decode', model.step()) }
        steps++
        rows += scheduler.rows
        scheduler.queueStep()
      }
      if (flying) {
        await flying.prompts
        const { tokens, logprobs } = await flying.result
        scheduler.accept(tokens, logprobs, onToken)
        report(false)
      } else if (!next) break
      flying = next
    }
    report(true)
  } catch (error) {
    await Promise.allSettled(queued)
    throw error
  }
  return {
    rollouts: scheduler.results,
    stats: {
      prefillTokens: scheduler.prefillTokens,
      prefillSeconds: clock.prefill,
      decodeTokens: scheduler.tokens,
      decodeSeconds: clock.decode,
      decodeSteps: steps,
      decodeRows: rows,
      peakPages: scheduler.peakPages,
    },
  }
}

function progressReporter(scheduler: Scheduler, onProgress: GenerateRequest['onProgress']): (last: boolean) => void {
  if (!onProgress) return () => {}
  const start = performance.now()
  let before = start
  return (last) => {
    const now = performance.now()
    if (!last && now - before < progressSeconds * 1000) return
    before = now
    const { done, total, tokens } = scheduler
    onProgress({ done, total, tokens, tokensPerSecond: tokens / Math.max((now - start) / 1000, 1e-9) })
  }
}
