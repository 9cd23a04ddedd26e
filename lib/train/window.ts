/** Figures that say where a run stands; a line shows the last, not the mean. */
const latest = new Set([
  'step',
  'epoch',
  'learning_rate',
  'num_tokens',
  'memory/rss',
  'memory/peak_rss',
  'memory/device',
  'memory/planned',
])

export interface WindowState {
  sums: Record<string, number>
  counts: Record<string, number>
}

/** Means of the metrics since the last line, each over the updates that had it. Part of a checkpoint. */
export class MetricWindow {
  private sums: Record<string, number>
  private counts: Record<string, number>

  constructor(state: WindowState = { sums: {}, counts: {} }) {
    this.sums = { ...state.sums }
    this.counts = { ...state.counts }
  }

  add(metrics: Record<string, number>): void {
    for (const [key, value] of Object.entries(metrics)) {
      if (Number.isNaN(value)) continue
      const keep = !latest.has(key) && Object.hasOwn(this.sums, key)
      this.sums[key] = value + (keep ? this.sums[key]! : 0)
      this.counts[key] = 1 + (keep ? this.counts[key]! : 0)
    }
  }

  /** The means, and an empty window again. */
  take(): Record<string, number> {
    const means = Object.fromEntries(Object.entries(this.sums).map(([key, sum]) => [key, sum / this.counts[key]!]))
    this.sums = {}
    this.counts = {}
    return means
  }

  state(): WindowState {
    return { sums: { ...this.sums }, counts: { ...this.counts } }
  }
}
