// From metrics to charts: which series belong together, what is drawn bold, faint or as a band.

import type { MetricLine, Run } from './read.js'

export interface Series {
  label: string
  /** Index into the palette. */
  color: number
  /** `area` is between `low` and `values`; `faint` is the raw line behind a smoothed one. */
  kind: 'line' | 'faint' | 'points' | 'area'
  values: (number | null)[]
  low?: (number | null)[]
  /** What the legend shows, where `values` are sums for stacking. */
  shown?: (number | null)[]
  /** Index of the series that it belongs to: it stands in no legend of its own, comes and goes with that one. */
  of?: number
  /** The axis does not make room for it. */
  loose?: boolean
}

export interface Chart {
  id: string
  title: string
  /** One line that says how to read it. */
  note: string
  unit: string
  x: number[]
  series: Series[]
  /** Fixed limits of the y axis. */
  range?: [number, number]
}

interface Spec {
  id: string
  title: string
  note: string
  unit?: string
  range?: [number, number]
  /** Metric and label; the first is drawn in the first colour. */
  lines?: readonly (readonly [metric: string, label: string])[]
  /** Metrics of the lower and the upper edge of a band behind the lines. */
  band?: readonly [low: string, high: string, label: string]
  /** Every metric below this prefix, stacked. */
  stack?: string
  scale?: number
  /** Not noisy: drawn as it is, without a running mean. */
  exact?: boolean
}

const rate: [number, number] = [0, 1]

const specs: readonly Spec[] = [
  {
    id: 'reward',
    title: 'Reward',
    note: 'Mean over the completions of a step; bold is a running mean.',
    lines: [['reward', 'reward']],
  },
  {
    id: 'rates',
    title: 'What the answers get right',
    note: 'Shares of completions: right format, right function names, no valid call.',
    range: rate,
    lines: [
      ['reward/format_rate', 'format'],
      ['reward/name_rate', 'names'],
      ['invalid_tool_call_rate', 'invalid call'],
    ],
  },
  {
    id: 'groups',
    title: 'Groups that teach',
    note: 'Only groups with mixed rewards have a gradient.',
    range: rate,
    scale: 0.01,
    lines: [
      ['baseline_reward/pct_mixed', 'mixed'],
      ['baseline_reward/pct_1', 'all right'],
      ['baseline_reward/pct_0', 'all wrong'],
    ],
  },
  {
    id: 'length',
    title: 'Completion length',
    note: 'Mean over a step, between the shortest and the longest.',
    unit: 'tokens',
    lines: [['completions/mean_length', 'mean']],
    band: ['completions/min_length', 'completions/max_length', 'shortest to longest'],
  },
  {
    id: 'clipped',
    title: 'Cut answers',
    note: 'Share of completions that ran into the length limit.',
    lines: [['completions/clipped_ratio', 'cut']],
  },
  {
    id: 'kl',
    title: 'KL to the reference',
    note: 'k3 estimate per token, to the frozen initial model.',
    unit: 'nats',
    lines: [['kl', 'KL']],
  },
  {
    id: 'entropy',
    title: 'Entropy',
    note: 'Of the next-token distribution, mean over completion tokens.',
    unit: 'nats',
    lines: [['entropy', 'entropy']],
  },
  { id: 'loss', title: 'Loss', note: 'The value that was minimised in each step.', lines: [['loss', 'loss']] },
  { id: 'grad', title: 'Gradient norm', note: 'Before clipping.', lines: [['grad_norm', 'norm']] },
  {
    id: 'clip',
    title: 'Clipped ratios',
    note: 'Share of tokens whose probability ratio left the trust region.',
    lines: [
      ['clip_ratio/low_mean', 'below'],
      ['clip_ratio/high_mean', 'above'],
    ],
  },
  {
    id: 'lr',
    title: 'Learning rate',
    note: 'After warm-up and schedule.',
    lines: [['learning_rate', 'learning rate']],
    exact: true,
  },
  {
    id: 'time',
    title: 'Where a step spends its time',
    note: 'Seconds per phase, stacked.',
    unit: 's',
    stack: 'timing/',
  },
  {
    id: 'speed',
    title: 'Throughput',
    note: 'Tokens per second: reading prompts, drawing answers.',
    unit: 'tokens/s',
    lines: [
      ['throughput/decode_tok_s', 'drawing'],
      ['throughput/prefill_tok_s', 'reading'],
    ],
  },
  {
    id: 'memory',
    title: 'Memory',
    note: 'Resident memory of the process, and what the device holds of it.',
    unit: 'GB',
    lines: [
      ['memory/rss', 'process'],
      ['memory/device', 'device'],
    ],
    scale: 1e-9,
  },
]

const maxPoints = 800

/** Charts of a run; those without data are left out. */
export function chartsOf(run: Run, idPrefix = ''): Chart[] {
  const drawn = specs.map((spec) => single(spec, run.metrics)).filter((chart) => chart !== null)
  const held = heldOut(run)
  return (held ? [held, ...drawn] : drawn).map((chart) => ({ ...chart, id: `${idPrefix}${chart.id}` }))
}

/** Exact match on held-out questions while training, with its interval; needs evaluations at three steps or more. */
function heldOut(run: Run): Chart | null {
  const lines = run.metrics.filter((m) => numeric(m.eval_exact_match) !== null)
  if (lines.length < 3) return null
  const edge = (key: string) => lines.map((m) => numeric(m[`eval_exact_match${key}`]))
  return {
    id: 'heldout',
    title: 'Held-out exact match',
    note: 'Questions that training never saw, with 95 % intervals.',
    unit: '',
    range: rate,
    x: lines.map((m) => m.step),
    series: [
      { label: '95 %', color: 0, kind: 'area', values: edge('_high'), low: edge('_low') },
      { label: 'exact match', color: 0, kind: 'line', values: edge('') },
    ],
  }
}

function single(spec: Spec, all: readonly MetricLine[]): Chart | null {
  const metrics = thin(all)
  const x = metrics.map((m) => m.step)
  const column = (name: string) => metrics.map((m) => numeric(m[name], spec.scale))
  const series = spec.stack ? stacked(spec.stack, metrics, column) : lines(spec, column)
  return series.some((s) => s.values.some((v) => v !== null)) ? chart(spec, x, series) : null
}

const chart = (spec: Spec, x: number[], series: Series[]): Chart => ({
  id: spec.id,
  title: spec.title,
  note: spec.note,
  unit: spec.unit ?? '',
  x,
  series,
  ...(spec.range ? { range: spec.range } : {}),
})

/** A finite number times `scale`, else null. */
export const numeric = (value: unknown, scale = 1): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value * scale : null

function lines(spec: Spec, column: (name: string) => (number | null)[]): Series[] {
  const series: Series[] = []
  if (spec.band) {
    const [low, high, label] = spec.band
    const values = column(high)
    if (values.some((v) => v !== null)) series.push({ label, color: 0, kind: 'area', values, low: column(low) })
  }
  for (const [i, [metric, label]] of (spec.lines ?? []).entries()) {
    const values = column(metric)
    if (values.every((v) => v === null)) continue
    const window = Math.round(values.length / 25)
    if (spec.lines!.length > 1 || spec.band || spec.exact || window < 2)
      series.push({ label, color: i, kind: 'line', values })
    else {
      series.push({ label: 'each step', color: i, kind: 'faint', values })
      series.push({ label, color: i, kind: 'line', values: runningMean(values, window) })
    }
  }
  return series
}

/** Series on top of each other, largest below; each is an area down to the one beneath. */
function stacked(
  prefix: string,
  metrics: readonly MetricLine[],
  column: (name: string) => (number | null)[],
): Series[] {
  const names = [...new Set(metrics.flatMap((m) => Object.keys(m)))].filter(
    (name) => name.startsWith(prefix) && !/total|step$/.test(name),
  )
  const total = (values: (number | null)[]) => values.reduce<number>((sum, v) => sum + (v ?? 0), 0)
  let below: (number | null)[] = metrics.map(() => 0)
  return names
    .map((name) => ({ name, values: column(name) }))
    .filter(({ values }) => total(values) > 0)
    .sort((a, b) => total(b.values) - total(a.values))
    .map(({ name, values }, color) => {
      const low = below
      below = below.map((v, i) => (v ?? 0) + (values[i] ?? 0))
      return {
        label: name.slice(prefix.length).replace(/_/g, ' '),
        color,
        kind: 'area',
        values: below,
        low,
        shown: values,
      }
    })
}

/** Every k-th line, the last one always, so that a long run stays a small page. */
export function thin(metrics: readonly MetricLine[]): readonly MetricLine[] {
  const stride = Math.ceil(metrics.length / maxPoints)
  return stride <= 1 ? metrics : metrics.filter((_, i) => i % stride === 0 || i === metrics.length - 1)
}

/** Mean of the values from i - window + 1 to i that are there. */
export function runningMean(values: readonly (number | null)[], window: number): (number | null)[] {
  return values.map((value, i) => {
    if (value === null) return null
    const near = values.slice(Math.max(0, i - window + 1), i + 1).filter((v) => v !== null)
    return near.reduce((a, b) => a + b, 0) / near.length
  })
}
