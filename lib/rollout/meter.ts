/** Where the time of one generate call went. Seconds are the device's: queueing overlaps with them. */
export interface RolloutStats {
  /** Prompt tokens computed: each prompt's once, without its last token, which starts every completion. */
  prefillTokens: number
  prefillSeconds: number
  /** Tokens drawn, without those dropped after a stop. */
  decodeTokens: number
  decodeSeconds: number
  decodeSteps: number
  /** Rows of all steps, those included that drew past a stop. */
  decodeRows: number
  /** Most pages that were in use, of those that the cache had. */
  peakPages: number
  pages: number
  pageBytes: number
}

/**
 * Attributes device time to phases. Work is queued in order and finishes in order, so a piece of work took from the later of
 * "its predecessor finished" and "it was queued" to "it finished".
 */
export class PhaseClock {
  prefill = 0
  decode = 0
  #last = 0

  constructor(private readonly now: () => number = () => performance.now() / 1000) {}

  /** Call when work is queued; call the result when it has finished. */
  start(phase: 'prefill' | 'decode'): () => void {
    const queued = this.now()
    return () => {
      const end = this.now()
      this[phase] += end - Math.max(queued, this.#last)
      this.#last = end
    }
  }
}
