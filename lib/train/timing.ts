/** Seconds spent in the named phases of a step. Phases do not nest. */
export class Stopwatch {
  private seconds: Record<string, number> = {}
  private started = performance.now()

  /** Runs `work` and adds its time to `phase`. */
  async time<T>(phase: string, work: () => T | Promise<T>): Promise<T> {
    const from = performance.now()
    try {
      return await work()
    } finally {
      this.seconds[phase] = (this.seconds[phase] ?? 0) + (performance.now() - from) / 1000
    }
  }

  /** `timing/<phase>` and the time since the last call, as `timing/step` and TRL's `step_time`; then starts over. */
  take(): Record<string, number> {
    const now = performance.now()
    const step = (now - this.started) / 1000
    const metrics: Record<string, number> = { step_time: step, 'timing/step': step }
    for (const [phase, seconds] of Object.entries(this.seconds)) metrics[`timing/${phase}`] = seconds
    this.seconds = {}
    this.started = now
    return metrics
  }
}
