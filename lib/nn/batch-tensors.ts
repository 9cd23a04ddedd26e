import type { PackedBatch, Segment } from '../batch.js'
import type { Device } from '../tensor/device.js'
import { type Tensor, tensor } from '../tensor/tensor.js'

/** A packed batch on a device; the layouts of the tables are those of the attention op. */
export interface DeviceBatch {
  /** i32 [T] */
  tokens: Tensor
  /** i32 [T] */
  positions: Tensor
  /** i32 [S, 6]: query rows [begin, end), first own key (-1: none), causal offset, spans [begin, end) */
  segments: Tensor
  /** i32 [P, 2]: key rows [begin, end) that are seen in full */
  spans: Tensor
}

/** Segment tables as the attention op reads them. */
export function segmentTables(segments: readonly Segment[], device: Device): { segments: Tensor; spans: Tensor } {
  const rows = new Int32Array(segments.length * 6)
  const spans: number[] = []
  for (const [i, s] of segments.entries()) {
    const first = spans.length / 2
    for (const [begin, end] of s.spans) spans.push(begin, end)
    rows.set([s.queries[0], s.queries[1], s.keys ? s.keys[0] : -1, s.causalOffset, first, spans.length / 2], i * 6)
  }
  return {
    segments: tensor(rows, [segments.length, 6], { device }),
    spans: tensor(Int32Array.from(spans), [spans.length / 2, 2], { device }),
  }
}

export function toDevice(batch: Pick<PackedBatch, 'tokens' | 'positions' | 'segments'>, device: Device): DeviceBatch {
  return {
    tokens: tensor(batch.tokens, [batch.tokens.length], { device }),
    positions: tensor(batch.positions, [batch.positions.length], { device }),
    ...segmentTables(batch.segments, device),
  }
}
