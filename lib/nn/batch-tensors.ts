import type { PackedBatch } from '../batch.js'
import type { Device } from '../tensor/device.js'
import { type SegmentTables, segmentTables } from '../tensor/segments.js'
import { type Tensor, tensor } from '../tensor/tensor.js'

/** A packed batch on a device. */
export interface DeviceBatch extends SegmentTables {
  /** i32 [T] */
  tokens: Tensor
  /** i32 [T] */
  positions: Tensor
}

/** Uploads the tables of a packed batch. */
export function toDevice(batch: Pick<PackedBatch, 'tokens' | 'positions' | 'segments'>, device: Device): DeviceBatch {
  return {
    tokens: tensor(batch.tokens, [batch.tokens.length], { device }),
    positions: tensor(batch.positions, [batch.positions.length], { device }),
    ...segmentTables(batch.segments, device),
  }
}
