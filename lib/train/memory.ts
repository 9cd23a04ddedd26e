import type { MemoryPlan } from '../nn/memory-plan.js'
import type { Device } from '../tensor/device.js'

/** Beyond the plan by this factor is worth a note. */
const tolerance = 1.1

/** Holds a run's memory against its plan: what was predicted before the first update, what is used, and where they part. */
export class MemoryWatch {
  private noted = false

  constructor(
    private readonly plan: MemoryPlan,
    private readonly device: Device,
  ) {
    device.resetPeakMemory()
  }

  /** Bytes: resident now and at most, the device's peak, and what was planned for it. */
  metrics(): Record<string, number> {
    return {
      'memory/rss': process.memoryUsage.rss(),
      // The kernel counts it in KiB.
      'memory/peak_rss': process.resourceUsage().maxRSS * 1024,
      'memory/device': this.device.memory().peak,
      'memory/planned': this.plan.total,
    }
  }

  /** A note, once, when the device's peak has passed the plan. */
  notes(): string[] {
    const { peak } = this.device.memory()
    if (this.noted || peak <= this.plan.total * tolerance) return []
    this.noted = true
    return [`Memory: ${size(peak)} in use, ${size(this.plan.total)} were planned.`]
  }

  /** The plan as a line for people, printed before the first update. */
  describe(): string {
    const { total, ...parts } = this.plan
    const named = Object.entries(parts).map(([name, bytes]) => `${name} ${size(bytes)}`)
    return `Memory plan: ${size(total)} at most (${named.join(', ')})`
  }

  /** What became of the plan. */
  summary(): string {
    return `Memory peak: ${size(this.device.memory().peak)} of ${size(this.plan.total)} planned`
  }
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`
}
