// Several runs drawn over each other: one line a setting, with an interval over its seeds and each seed's own line behind it.

import { meanEstimate } from '../../eval/intervals.js'
import { type Chart, numeric, runningMean, type Series, thin } from './charts.js'
import type { MetricLine, Run } from './read.js'
import type { Setting } from './settings.js'

interface Spec {
  id: string
  metric: string
  title: string
  note: string
  unit?: string
  range?: [number, number]
  scale?: number
  /** Drawn as logged, without a running mean. */
  exact?: boolean
  /** The ends of each value's own interval, drawn where a setting has one run. */
  ends?: readonly [low: string, high: string]
}

const rate: [number, number] = [0, 1]

/** The curves that Tool-N1's paper shows (figures 6 and 7). */
const paperSpecs: readonly Spec[] = [
  { id: 'length', metric: 'completions/mean_length', title: 'Reply length', note: 'Mean over a step.', unit: 'tokens' },
  {
    id: 'shortest',
    metric: 'completions/min_length',
    title: 'Shortest reply',
    note: 'The least tokens of a reply in a step.',
    unit: 'tokens',
  },
  { id: 'kl', metric: 'kl', title: 'KL to the reference', note: 'k3 estimate per token.', unit: 'nats' },
  {
    id: 'entropy',
    metric: 'entropy',
    title: 'Entropy',
    note: 'Of the next-token distribution, mean over completion tokens.',
    unit: 'nats',
  },
  { id: 'reward', metric: 'reward', title: 'Reward', note: 'Mean over the completions of a step.' },
  {
    id: 'heldout',
    metric: 'eval_exact_match',
    title: 'Held-out exact match',
    note: 'Questions that training never saw.',
    range: rate,
    exact: true,
    ends: ['eval_exact_match_low', 'eval_exact_match_high'],
  },
]

const otherSpecs: readonly Spec[] = [
  { id: 'format', metric: 'reward/format_rate', title: 'Right format', note: 'Share of completions.', range: rate },
  { id: 'names', metric: 'reward/name_rate', title: 'Right names', note: 'Share of completions.', range: rate },
  {
    id: 'groups',
    metric: 'baseline_reward/pct_mixed',
    title: 'Groups that teach',
    note: 'Share of groups with mixed rewards.',
    range: rate,
    scale: 0.01,
  },
  {
    id: 'clipped',
    metric: 'completions/clipped_ratio',
    title: 'Cut replies',
    note: 'Share of completions that ran into the length limit.',
  },
  { id: 'loss', metric: 'loss', title: 'Loss', note: 'The value that was minimised in each step.' },
  { id: 'grad', metric: 'grad_norm', title: 'Gradient norm', note: 'Before clipping.' },
  { id: 'lr', metric: 'learning_rate', title: 'Learning rate', note: 'After warm-up and schedule.', exact: true },
  {
    id: 'speed',
    metric: 'throughput/decode_tok_s',
    title: 'Throughput',
    note: 'Tokens drawn per second.',
    unit: 'tokens/s',
  },
  { id: 'time', metric: 'step_time', title: 'Time of a step', note: 'All phases.', unit: 's' },
  { id: 'memory', metric: 'memory/rss', title: 'Memory', note: 'Resident, of the process.', unit: 'GB', scale: 1e-9 },
]

/** Charts over the settings' runs, those of the paper's figures apart; metrics that no run has are left out. */
export function overlayCharts(settings: readonly Setting<Run>[]): { paper: Chart[]; other: Chart[] } {
  const draw = (specs: readonly Spec[]) =>
    specs.map((spec) => overlay(spec, settings)).filter((chart) => chart !== null)
  return { paper: draw(paperSpecs), other: draw(otherSpecs) }
}

type Column = (number | null)[]

function overlay(spec: Spec, settings: readonly Setting<Run>[]): Chart | null {
  const has = (run: Run) => run.metrics.some((line) => numeric(line[spec.metric]) !== null)
  const drawn = settings
    .map(({ name, members }, color) => ({ name, color, runs: members.filter(has) }))
    .filter(({ runs }) => runs.length > 0)
  if (drawn.length === 0) return null
  const runs = drawn.flatMap((setting) => setting.runs)
  const lines = new Map(
    runs.map((run) => [run, thin(run.metrics.filter((m) => !spec.exact || numeric(m[spec.metric]) !== null))]),
  )
  const x = [...new Set(runs.flatMap((run) => lines.get(run)!.map(({ step }) => step)))].sort((a, b) => a - b)
  const series: Series[] = []
  for (const { name, color, runs: own } of drawn) {
    const columns = own.map((run) => spread(x, lines.get(run)!, spec))
    const main = series.length
    if (own.length === 1) {
      series.push({ label: name, color, kind: 'line', values: columns[0]! })
      if (spec.ends) {
        const [low, high] = spec.ends.map((metric) => spread(x, lines.get(own[0]!)!, { ...spec, metric }))
        if (low!.some((v) => v !== null))
          series.push({ label: '95 %', color, kind: 'area', values: high!, low: low!, of: main })
      }
      continue
    }
    const band = overSeeds(columns, spec.range)
    series.push({ label: `${name} (mean of ${own.length} seeds)`, color, kind: 'line', values: band.mean })
    // An interval of two seeds is wide: it may leave the chart rather than flatten the lines.
    series.push({ label: '95 %', color, kind: 'area', values: band.high, low: band.low, of: main, loose: true })
    for (const [i, values] of columns.entries()) {
      series.push({ label: own[i]!.name, color, kind: 'faint', values, of: main })
    }
  }
  const { id, title, note, unit = '', range } = spec
  return { id, title, note, unit, x, series, ...(range && { range }) }
}

/** A metric at the chart's steps, smoothed over a twenty-fifth of the run's length unless it is exact. */
function spread(x: readonly number[], lines: readonly MetricLine[], { metric, scale, exact }: Spec): Column {
  const values = lines.map((line) => numeric(line[metric], scale))
  const smooth = exact ? values : runningMean(values, Math.max(1, Math.round(values.length / 25)))
  const at = new Map(lines.map(({ step }, i) => [step, smooth[i]!]))
  return x.map((step) => at.get(step) ?? null)
}

/** Mean and Student's 95 % interval over seeds at each step that all of them have; the interval ends where the values' range does. */
export function overSeeds(
  columns: readonly Column[],
  [least, most]: readonly [number, number] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
): { mean: Column; low: Column; high: Column } {
  const at = columns[0]!.map((_, i) => {
    const values = columns.map((column) => column[i] ?? null).filter((value) => value !== null)
    return values.length === columns.length ? meanEstimate(values) : null
  })
  const finite = (value: number | null | undefined) => (Number.isFinite(value) ? (value as number) : null)
  return {
    mean: at.map((estimate) => finite(estimate?.value)),
    low: at.map((estimate) => finite(estimate && Math.max(least, estimate.low))),
    high: at.map((estimate) => finite(estimate && Math.min(most, estimate.high))),
  }
}
