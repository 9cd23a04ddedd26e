// Counts of a data set that grow with a number per sample at most: the paper's Table 1, spreads.

import type { Built } from './pipeline.js'
import type { DataFormat, Sample } from './sample.js'

export type TurnKind = 'single' | 'multi'

/** Records before and samples after processing, by where they come from and by turns. */
export class SourceCounts {
  readonly raw = new Map<string, number>()
  readonly processed = new Map<string, number>()
  records = 0
  samples = 0
  /** Records that gave no sample. */
  leftOut = 0
  /** Samples (turns, copies) that were left out of records that gave others. */
  samplesLeftOut = 0

  /** A record counts as multi-turn where the user speaks more than once; a sample where two or more turns come before its answer. */
  add({ source, multiTurn, samples, dropped }: Built): void {
    this.records++
    if (samples.length === 0) this.leftOut++
    else this.samplesLeftOut += dropped
    count(this.raw, cellOf(source, multiTurn ? 'multi' : 'single'))
    for (const sample of samples) {
      this.samples++
      count(this.processed, cellOf(sample.source, turnKind(sample)))
    }
  }
}

const count = (counts: Map<string, number>, cell: string) => counts.set(cell, (counts.get(cell) ?? 0) + 1)

const cellOf = (source: DataFormat | null, kind: TurnKind): string =>
  source === null ? 'unknown' : `${source} ${kind}`

function turnKind(sample: Sample): TurnKind {
  return sample.turns.filter((turn) => turn.role !== 'system').length >= 2 ? 'multi' : 'single'
}

/** Table 1 of arXiv 2505.00024. */
const paperTable1: Readonly<Record<string, { raw: number; processed: number }>> = {
  'xlam single': { raw: 60_000, processed: 60_000 },
  'xlam multi': { raw: 0, processed: 0 },
  'toolace single': { raw: 10_500, processed: 8_183 },
  'toolace multi': { raw: 800, processed: 1_470 },
}

export interface Table1Row {
  source: string
  raw: number
  processed: number
  paper: { raw: number; processed: number } | null
}

/** The paper's columns first, then whatever else the data has. */
export function table1({ raw, processed }: SourceCounts): Table1Row[] {
  const cells = new Set([...Object.keys(paperTable1), ...[...raw.keys(), ...processed.keys()].sort()])
  return [...cells].map((source) => ({
    source,
    raw: raw.get(source) ?? 0,
    processed: processed.get(source) ?? 0,
    paper: Object.hasOwn(paperTable1, source) ? (paperTable1[source] ?? null) : null,
  }))
}

export interface Spread {
  mean: number
  min: number
  median: number
  p95: number
  max: number
}

/** Whole numbers, four bytes each. */
export class Numbers {
  private values = new Uint32Array(1024)
  private length = 0

  add(value: number): void {
    if (this.length === this.values.length) {
      const larger = new Uint32Array(2 * this.length)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.length++] = value
  }

  /** Least, middle, 95th of a hundred and most; zeros where there are none. */
  spread(): Spread {
    const sorted = this.values.slice(0, this.length).sort()
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
    let sum = 0
    for (const value of sorted) sum += value
    return { mean: sum / Math.max(1, sorted.length), min: at(0), median: at(0.5), p95: at(0.95), max: at(1) }
  }
}
