import { table } from '../ui/table.js'
import { type CublasTiming, cublasNotes } from './cublas.js'
import type { OpCounters } from './op-counters.js'
import type { OpBenchReport, OpBenchResult, OpRates } from './ops.js'

const digits = (x: number) => (x === 0 ? '0' : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2))
const percent = (x: number) => `${(100 * x).toFixed(0)} %`

type Column<T> = readonly [title: string, cell: (r: OpBenchResult, part: T) => string]

const timeColumns: readonly Column<OpRates>[] = [
  ['median µs', (_, t) => digits(t.median)],
  ['p20', (_, t) => digits(t.p20)],
  ['p80', (_, t) => digits(t.p80)],
  ['cold µs', (_, t) => digits(t.cold.median)],
  ['noise', (_, t) => percent(t.noise)],
  ['GB/s', (_, t) => digits(t.gbPerSecond)],
  ['GFLOP/s', (_, t) => (t.gflopPerSecond === null ? '–' : digits(t.gflopPerSecond))],
  ['of roof', (_, t) => percent(t.roofShare)],
  ['bound by', (_, t) => t.bound],
  ['MB', (r) => digits(r.bytes / 1e6)],
  ['error', (r) => r.error.toExponential(1)],
  ['host µs', (_, t) => digits(t.host)],
  ['shape', (r) => r.shape],
]

const ofCublas = (title: string, cell: (t: CublasTiming) => string): Column<unknown> => [
  title,
  ({ cublas }) => (cublas && 'ratio' in cublas ? cell(cublas) : '–'),
]
/** Before the shape, where the report has any. */
const cublasColumns: readonly Column<unknown>[] = [
  ofCublas('cublas µs', (t) => digits(t.median)),
  ofCublas('ratio', (t) => t.ratio.toFixed(2)),
  ofCublas('cublas cold', (t) => digits(t.cold.median)),
  ofCublas('cold ratio', (t) => t.coldRatio.toFixed(2)),
]

const countColumns: readonly Column<OpCounters>[] = [
  ['least kB', (r) => digits(r.bytes / 1e3)],
  ['moved', (_, c) => `${c.movedOverLeast.toFixed(2)}x`],
  ['asked kB', (_, c) => digits(c.asked / 1e3)],
  ['of tiles', (_, c) => (c.askedOverTiles === null ? '–' : `${c.askedOverTiles.toFixed(2)}x`)],
  ['coalesced', (_, c) => percent(1 / c.askedOverTouched)],
  ['bank conflicts', (_, c) => `${c.bankConflicts}`],
  ['of passes', (_, c) => `${c.sharedPasses}`],
  ['mma', (_, c) => `${c.mma}`],
  ['barriers', (_, c) => `${c.barriers}`],
  ['launches', (_, c) => `${c.launches}`],
  ['H100 µs', (_, c) => c.h100Microseconds.toPrecision(2)],
  ['error', (r) => r.error.toExponential(1)],
  ['shape', (r) => r.shape],
]

function rowsOf<T>(
  report: OpBenchReport,
  columns: readonly Column<T>[],
  partOf: (r: OpBenchResult) => T | null,
): { header: string[]; rows: string[][] } {
  const rows = report.results.flatMap((r) => {
    const part = partOf(r)
    return part === null ? [] : [[r.op, r.dtype, ...columns.map(([, cell]) => cell(r, part))]]
  })
  return { header: ['op', 'dtype', ...columns.map(([title]) => title)], rows }
}

/** Header and cells of the report: times, or counters on an emulated device. */
export function opBenchTable(report: OpBenchReport): { header: string[]; rows: string[][] } {
  if (!report.roofs) return rowsOf(report, countColumns, (r) => r.counters)
  const compared = report.results.some(({ cublas }) => cublas)
  const columns = compared ? [...timeColumns.slice(0, -1), ...cublasColumns, ...timeColumns.slice(-1)] : timeColumns
  return rowsOf(report, columns, (r) => r.timing)
}

/** What the figures of the report are relative to, a line each. */
export function opBenchNotes(report: OpBenchReport): string[] {
  const { roofs, emptySync, clocks, device } = report
  const again = `again: npx callgrad bench ops --op NAME --dtype DTYPE --device ${device}`
  if (!roofs) {
    const columns =
      'moved: different 32-byte sectors per launch, of the least bytes; asked: sectors that warps ask for, caches included, of tiles: over the least of the bf16 kernel and its tiles; H100 µs: the time below which an H100 SXM cannot go'
    return [columns, again]
  }
  return [
    `roofs: copy ${roofs.copy.toFixed(1)} GB/s, f32 ${roofs.f32.toFixed(0)} GFLOP/s, bf16 ${roofs.bf16.toFixed(0)} GFLOP/s`,
    emptySync === null
      ? 'times by device events; hot calls in batches, cold ones alone after 256 MB were written'
      : `times on the host's clock; hot calls in batches, cold ones alone after 256 MB were written, a wait of ${digits(emptySync)} µs included`,
    ...(clocks
      ? [
          `${clocks.name}, driver ${clocks.driver}: SM ${clocks.sm ?? '?'} of ${clocks.smMax ?? '?'} MHz, memory ${clocks.memory ?? '?'} MHz`,
        ]
      : []),
    ...cublasNotes(report.cublas, report.results),
    again,
  ]
}

/** The report's table for a page of documentation. */
export function markdownOpBench(report: OpBenchReport): string {
  const { header, rows } = opBenchTable(report)
  const cells = (list: readonly string[]) => `| ${list.join(' | ')} |`
  return [cells(header), cells(header.map((_, i) => (i < 2 ? '---' : '---:'))), ...rows.map(cells)].join('\n')
}

/** The report as text for a terminal. */
export function formatOpBench(report: OpBenchReport): string {
  const { header, rows } = opBenchTable(report)
  return [
    `${report.device}: ${report.description}`,
    ...opBenchNotes(report),
    '',
    table(header, rows),
    ...report.refused.map(({ op, dtype, reason }) => `\n  not measured: ${op} ${dtype} fails its check: ${reason}`),
  ].join('\n')
}
