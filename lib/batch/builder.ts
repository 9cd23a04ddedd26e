import { fail } from '../errors.js'
import type { ItemizedBatch, RowRange, Segment } from './types.js'

/** The last index whose mask is not 0, or -1. Rows after it predict nothing and nothing sees them: they are not packed. */
export function lastCounted(length: number, mask: ArrayLike<number> | null | undefined): number {
  let last = length - 1
  if (mask) while (last >= 0 && !mask[last]) last--
  return last
}

export function checkMask(where: string, length: number, mask: ArrayLike<number> | null | undefined): void {
  if (mask && mask.length !== length) {
    fail('RangeError', 'ERR_SHAPE', `[${where}] expected a mask of ${length} tokens, got ${mask.length}`)
  }
}

/** Collects rows, segments and predictions; knows nothing of prompts or losses. */
export class BatchBuilder {
  private readonly tokens: number[] = []
  private readonly positions: number[] = []
  private readonly segments: Segment[] = []
  private readonly rows: number[] = []
  private readonly targets: number[] = []
  private readonly offsets: number[] = [0]

  /** Appends rows as one causal segment that also sees `spans` in full. Returns the rows; no segment for an empty range. */
  segment(tokens: Iterable<number>, firstPosition: number, spans: RowRange[]): RowRange {
    const start = this.tokens.length
    let position = firstPosition
    for (const token of tokens) {
      this.tokens.push(token)
      this.positions.push(position++)
    }
    const range: RowRange = [start, this.tokens.length]
    if (range[1] > start) this.segments.push({ queries: range, keys: [...range], causalOffset: 0, spans })
    return range
  }

  predict(row: number, target: number): void {
    this.rows.push(row)
    this.targets.push(target)
  }

  endItem(): void {
    this.offsets.push(this.rows.length)
  }

  build(): ItemizedBatch {
    return {
      tokens: Int32Array.from(this.tokens),
      positions: Int32Array.from(this.positions),
      segments: this.segments,
      rows: Int32Array.from(this.rows),
      targets: Int32Array.from(this.targets),
      offsets: Int32Array.from(this.offsets),
    }
  }
}
