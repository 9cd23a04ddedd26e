// `callgrad bench op NAME --kernel FILE`: somebody's own kernel through the op's whole conformance table, its counters or its time beside
// ours. Each side runs in a process of its own.

import { fail } from '../../errors.js'
import { native } from '../../tensor/native.js'
import type { OpCounters } from './op-counters.js'
import { type Quantiles, quantiles } from './op-timing.js'
import { rowsOf } from './ops.js'
import { buildOwnKernel, type OwnDevice } from './own-build.js'
import { OwnProcess } from './own-process.js'
import type { Float, SamplePair } from './own-worker.js'

export interface OwnKernelOptions {
  op: string
  /** The .cu file. */
  file: string
  /** simt, cuda or cuda:N. */
  device?: string
  /** Turns of timing on cuda. */
  turns?: number
  /** Seconds that one check or sample may take. */
  timeout?: number
}

export interface CheckOutcome {
  name: string
  /** What the check found; null where it passes. */
  own: string | null
  ours: string | null
}

export interface Timed extends Quantiles {
  cold: number
  gbPerSecond: number
}

export interface OwnMeasure {
  dtype: Float
  /** On simt. */
  counters: { own: OpCounters; ours: OpCounters } | null
  /** Microseconds, on cuda: both sides in turns. `ratio` is the median of own over ours within a turn. */
  time: { own: Timed; ours: Timed; ratio: number } | null
}

export interface OwnKernelReport {
  op: string
  file: string
  device: string
  checks: CheckOutcome[]
  /** Empty where the kernel fails a check: what is wrong is not measured. */
  measures: OwnMeasure[]
}

const deviceOf = (name: string): OwnDevice => {
  if (name === 'simt') return 'simt'
  if (/^cuda(?::\d+)?$/.test(name)) return 'cuda'
  return fail('TypeError', 'ERR_CONFIG', `[bench] --device: expected simt, cuda or cuda:N, got "${name}"`)
}

async function runChecks(own: OwnProcess, ours: OwnProcess): Promise<CheckOutcome[]> {
  const outcomes: CheckOutcome[] = []
  for (const name of await ours.get<string[]>({ kind: 'checks' })) {
    const request = { kind: 'check', name } as const
    const [a, b] = [await own.ask(request), await ours.ask(request)]
    outcomes.push({ name, own: 'error' in a ? a.error : null, ours: 'error' in b ? b.error : null })
  }
  return outcomes
}

async function timeBoth(own: OwnProcess, ours: OwnProcess, dtype: Float, turns: number): Promise<OwnMeasure['time']> {
  const bytes = await own.get<number>({ kind: 'open', dtype })
  await ours.get<number>({ kind: 'open', dtype })
  const samples: [SamplePair[], SamplePair[]] = [[], []]
  for (let i = 0; i < turns; i++)
    for (const [k, side] of [own, ours].entries()) samples[k]!.push(await side.get<SamplePair>({ kind: 'sample' }))
  const timed = (list: SamplePair[]): Timed => {
    const hot = quantiles(list.map((s) => s.hot))
    return { ...hot, cold: quantiles(list.map((s) => s.cold)).median, gbPerSecond: bytes / hot.median / 1000 }
  }
  const ratio = quantiles(samples[0].map((s, i) => s.hot / samples[1][i]!.hot)).median
  return { own: timed(samples[0]), ours: timed(samples[1]), ratio }
}

/**
 * Builds the file, checks it, and where it is right counts (simt) or times (cuda) it beside ours.
 *
 * @throws `ERR_CONFIG` for an op or device that there is not, `ERR_BUILD` for a file that cannot be built, `ERR_KERNEL` for a kernel that
 * crashes or hangs
 */
export async function benchOwnKernel(options: OwnKernelOptions): Promise<OwnKernelReport> {
  const { op, file, turns = 30, timeout = 300 } = options
  const device = options.device === 'cuda' ? 'cuda:0' : (options.device ?? 'simt')
  const kind = deviceOf(device)
  const [row] = await rowsOf([op])
  const build = buildOwnKernel(op, file, kind)
  const running: OwnProcess[] = []
  const start = async (label: string, addon?: string) => {
    const side = await OwnProcess.start(op, device, { label, timeout, ...(addon && { addon }) })
    running.push(side)
    return side
  }
  try {
    const [own, ours] = [await start(file, build.addon), await start('our own kernel')]
    const report: OwnKernelReport = { op, file, device, checks: await runChecks(own, ours), measures: [] }
    if (report.checks.some((c) => c.own !== null)) return report
    for (const dtype of row!.bench.dtypes) {
      const count = { kind: 'count', dtype } as const
      const counters =
        kind === 'simt' ? { own: await own.get<OpCounters>(count), ours: await ours.get<OpCounters>(count) } : null
      const time = kind === 'cuda' ? await timeBoth(own, ours, dtype, turns) : null
      report.measures.push({ dtype, counters, time })
    }
    return report
  } finally {
    for (const side of running) side.close()
    build.dispose()
  }
}

/** What a kernel of the op is given, from the op table. @throws `ERR_CONFIG` for an op that there is not */
export async function signatureOf(op: string): Promise<string> {
  await rowsOf([op])
  const { doc, inputs, outputs, attrs } = native.ops().find(({ name }) => name === op)!
  const marks = (i: (typeof inputs)[number]) =>
    [
      i.dtypes.join(' or '),
      i.optional && 'may be absent',
      i.inout && 'written in place',
      i.strided && 'rows may be strided',
    ]
      .filter(Boolean)
      .join(', ')
  return [
    `${op}: ${doc}`,
    '',
    ...inputs.map((i, k) => `  call.in[${k}]    ${i.name}: ${i.doc} (${marks(i)})`),
    ...outputs.map((o, k) => `  call.out[${k}]   ${o.name}: ${o.doc}`),
    ...attrs.map((a, k) => `  call.attr[${k}]  ${a.name}: ${a.doc}`),
    '',
    `  callgrad::Status mine(const callgrad::OpCall& call, callgrad::KernelContext& context);`,
    `  CALLGRAD_KERNEL(${op}, mine)`,
  ].join('\n')
}
