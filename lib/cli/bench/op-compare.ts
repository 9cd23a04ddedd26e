import { readFileSync } from 'node:fs'
import { fail } from '../../errors.js'
import { table } from '../ui/table.js'
import type { OpBenchReport, OpBenchResult } from './ops.js'

export type Verdict = 'same' | 'faster' | 'slower' | 'unsure' | 'less traffic' | 'more traffic'

export interface Comparison {
  op: string
  dtype: string
  /** Median time, or bytes that memory moves on an emulated device. */
  before: number
  now: number
  verdict: Verdict
}

/** A report that `callgrad bench ops --json` printed. @throws `ERR_IO`, `ERR_FORMAT` */
export function readReport(file: string): OpBenchReport {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return fail('Error', 'ERR_IO', `[bench] cannot read ${file}: ${(error as Error).message}`, error)
  }
  let value: Partial<OpBenchReport> | null = null
  try {
    value = JSON.parse(text) as Partial<OpBenchReport> | null
  } catch {
    // said below
  }
  if (value?.version !== 1 || !Array.isArray(value.results)) {
    fail('Error', 'ERR_FORMAT', `[bench] expected ${file} to hold what "callgrad bench ops --json" prints`)
  }
  return value as OpBenchReport
}

/**
 * Faster or slower where the middle three fifths of the samples do not overlap and medians differ by 3 % or more; the same where medians
 * differ by less than that or than both noises; else unsure. Counters have no noise: any difference is one.
 */
export function verdictOf(before: OpBenchResult, now: OpBenchResult): Comparison | null {
  const { op, dtype } = now
  if (before.timing && now.timing) {
    const [a, b] = [before.timing, now.timing]
    const change = Math.abs(b.median / a.median - 1)
    const apart = b.p80 < a.p20 ? 'faster' : b.p20 > a.p80 ? 'slower' : null
    const verdict =
      apart && change >= 0.03 ? apart : change < Math.max(0.03, Math.min(a.noise, b.noise)) ? 'same' : 'unsure'
    return { op, dtype, before: a.median, now: b.median, verdict }
  }
  if (!before.counters || !now.counters) return null
  const [a, b] = [before.counters.moved, now.counters.moved]
  return { op, dtype, before: a, now: b, verdict: b < a ? 'less traffic' : b > a ? 'more traffic' : 'same' }
}

/** What both reports measured at the same shape. @throws `ERR_CONFIG` for reports of different devices */
export function compareReports(before: OpBenchReport, now: OpBenchReport): Comparison[] {
  if (before.device !== now.device) {
    fail('Error', 'ERR_CONFIG', `[bench] --compare: expected a report of ${now.device}, got one of ${before.device}`)
  }
  return now.results.flatMap((r) => {
    const other = before.results.find((o) => o.op === r.op && o.dtype === r.dtype && o.shape === r.shape)
    return (other && verdictOf(other, r)) ?? []
  })
}

export function formatComparison(list: readonly Comparison[], unit: 'µs' | 'bytes'): string {
  const cell = (x: number) => (unit === 'µs' ? x.toFixed(x < 100 ? 1 : 0) : String(x))
  const rows = list.map((c) => [
    c.op,
    c.dtype,
    cell(c.before),
    cell(c.now),
    c.before === 0 ? '–' : `${(c.now / c.before).toFixed(2)}x`,
    c.verdict,
  ])
  return table(['op', 'dtype', `before, ${unit}`, 'now', 'ratio', 'verdict'], rows)
}
