/** Seconds spent in the named phases of a step. Phases do not nest. */
export class Stopwatch {
  private seconds: Record<string, number> = {}
  private started = performance.now()

  /** @param settle waits for what a phase has queued on its device, so that each phase pays for its own work */
  constructor(private readonly settle: () => Promise<void> = async () => {}) {}

  /** Runs `work` to the end of what it queued and adds the time to `phase`. */
  async time<T>(phase: string, work: () => T | Promise<T>): Promise<T> {
    const from = performance.now()
    try {
      const result = await work()
      await this.settle()
      return result
    } finally {
      this.seconds[phase] = (this.seconds[phase] ?? 0) + (performance.now() - from) / 1000
    }
  }

  /** `timing/<phase>`, and as `step_time` the time since the step began; then the next one begins. */
  take(): Record<string, number> {
    const now = performance.now()
    const metrics: Record<string, number> = { step_time: (now - this.started) / 1000 }
    for (const [phase, seconds] of Object.entries(this.seconds)) metrics[`timing/${phase}`] = seconds
    this.seconds = {}
    this.started = now
    return metrics
  }

  /** Starts the next step now: what came since `take` (an evaluation, a checkpoint) is a phase, but part of no step. */
  restart(): void {
    this.started = performance.now()
  }
}
