// What `data build` and `data stats` print alike.

import { type SourceCounts, table1 } from '../../data/counts.js'
import type { Progress as ReadProgress } from '../../data/pipeline.js'
import { isKept, kinds, type Problem, type ProblemKind, type Tally } from '../../data/problems.js'
import { bytes } from '../ui/format.js'
import { Progress } from '../ui/progress.js'
import { printable } from '../ui/style.js'
import { table } from '../ui/table.js'

const whole = (value: number) => value.toLocaleString('en-US')

/** The paper's Table 1, this data's counts beside the paper's. */
export function table1Text(counts: SourceCounts): string {
  const rows = table1(counts).map(({ source, raw, processed, paper }) => [
    source,
    whole(raw),
    whole(processed),
    paper ? whole(paper.raw) : '–',
    paper ? whole(paper.processed) : '–',
  ])
  return table(['Table 1', 'raw', 'processed', "paper's raw", "paper's processed"], rows)
}

export const place = ({ file, line }: Pick<Problem, 'file' | 'line'>) => (line > 0 ? `${file}:${line}` : file)

/** "3 of 8 records and 2 samples of others left out". */
export function leftOutText({
  records,
  leftOut,
  samplesLeftOut,
}: Pick<SourceCounts, 'records' | 'leftOut' | 'samplesLeftOut'>): string {
  const parts =
    samplesLeftOut === 0 ? '' : ` and ${whole(samplesLeftOut)} ${samplesLeftOut === 1 ? 'sample' : 'samples'} of others`
  return `${whole(leftOut)} of ${whole(records)} records${parts} left out`
}

/** How many records were left out, what for, and where each reason was met first; empty where all is well. */
export function problemsText(tally: Tally, counts: SourceCounts): string {
  const rows = [...tally.counts]
    .sort(([, a], [, b]) => b - a)
    .map(([kind, count]) => {
      const first = tally.first.get(kind)
      return [
        kind,
        whole(count),
        kinds[kind].what,
        first ? printable(`${place(first)}: ${first.reason}`).slice(0, 120) : '',
      ]
    })
  if (rows.length === 0) return ''
  return `${leftOutText(counts)}\n\n${table(['left out', 'records or samples', 'why', 'the first'], rows)}`
}

/** Counts by kind, those that were kept apart. */
export function problemCounts(tally: Tally): { dropped: Record<string, number>; renamed: number } {
  const dropped = [...tally.counts].filter(([kind]) => !isKept(kind))
  return { dropped: Object.fromEntries(dropped), renamed: tally.counts.get('duplicate_id' satisfies ProblemKind) ?? 0 }
}

/** A bar over the bytes of all files. */
export function readingBar(): { show: (progress: ReadProgress) => void; stop: () => void } {
  const bar = new Progress(true)
  const start = performance.now()
  let started = false
  return {
    show: ({ bytes: done, totalBytes, records }) => {
      if (!started) bar.start('read', totalBytes)
      started = true
      const rate = records / Math.max(1e-3, (performance.now() - start) / 1000)
      bar.update(
        done,
        `${bytes(done)} of ${bytes(totalBytes)}, ${whole(records)} records, ${whole(Math.round(rate))}/s`,
      )
    },
    stop: () => bar.stop(),
  }
}
