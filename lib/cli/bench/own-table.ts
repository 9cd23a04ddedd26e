import { green, red } from '../ui/style.js'
import { table } from '../ui/table.js'
import type { OpCounters } from './op-counters.js'
import type { OwnKernelReport, OwnMeasure } from './own-kernel.js'

const figures: readonly (readonly [string, (c: OpCounters) => number])[] = [
  ['bytes moved', (c) => c.moved],
  ['bytes asked for', (c) => c.asked],
  ['bank conflicts', (c) => c.bankConflicts],
  ['passes of shared memory', (c) => c.sharedPasses],
  ['mma', (c) => c.mma],
  ['barriers', (c) => c.barriers],
  ['launches', (c) => c.launches],
  ['H100 at least, ns', (c) => c.h100Microseconds * 1000],
]

const cell = (x: number) => (Number.isInteger(x) ? String(x) : x >= 100 ? x.toFixed(0) : x.toPrecision(3))
const ratio = (a: number, b: number) => (b === 0 ? (a === 0 ? '1.00x' : '–') : `${(a / b).toFixed(2)}x`)

function measure({ dtype, counters, time }: OwnMeasure): string {
  const rows = counters
    ? figures.map(([name, of]) => {
        const [own, ours] = [of(counters.own), of(counters.ours)]
        return [name, cell(own), cell(ours), ratio(own, ours)]
      })
    : [
        ['median µs', cell(time!.own.median), cell(time!.ours.median), `${time!.ratio.toFixed(2)}x`],
        ['p20', cell(time!.own.p20), cell(time!.ours.p20), ''],
        ['p80', cell(time!.own.p80), cell(time!.ours.p80), ''],
        ['cold µs', cell(time!.own.cold), cell(time!.ours.cold), ratio(time!.own.cold, time!.ours.cold)],
        ['GB/s', cell(time!.own.gbPerSecond), cell(time!.ours.gbPerSecond), ''],
      ]
  return table([dtype, 'yours', 'ours', 'ratio'], rows)
}

/** The report as text for a terminal. */
export function formatOwnKernel({ op, file, device, checks, measures }: OwnKernelReport): string {
  const verdict = (found: string | null) => (found === null ? green('passes') : red('fails'))
  const different = checks.filter((c) => c.own !== null)
  return [
    `${op} on ${device}: ${file} beside ours`,
    '',
    table(
      ['check', 'yours', 'ours'],
      checks.map((c) => [c.name, verdict(c.own), verdict(c.ours)]),
    ),
    ...different.map((c) => `\n  ${c.name}:\n    ${c.own}`),
    ...(different.length > 0
      ? ['\n  not measured: what is wrong has no speed']
      : measures.flatMap((m) => ['', measure(m)])),
  ].join('\n')
}
