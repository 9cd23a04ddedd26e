import { fail } from '../errors.js'
import type { Device } from './device.js'
import { empty, type Tensor, tensor } from './tensor.js'

/** Query rows of a packed batch and the key rows that they see; `lib/batch` makes these. Rows are `[start, end)`. */
export interface AttentionSegment {
  queries: readonly [number, number]
  /** The segment's own key rows, or null where it sees nothing of its own. */
  keys: readonly [number, number] | null
  /** Query i of the segment sees its own keys j <= i + causalOffset. */
  causalOffset: number
  /** Key rows that every query of the segment sees in full. */
  spans: readonly (readonly [number, number])[]
}

/** The tables that `attention` and `attentionBackward` take. */
export interface SegmentTables {
  /** [S, 6] qBegin, qEnd, kBegin (-1: no own keys), causalOffset, spanBegin, spanEnd */
  segments: Tensor
  /** [P, 2] kBegin, kEnd */
  spans: Tensor
}

/**
 * Segments as tables on a device.
 *
 * @throws RangeError (ERR_SHAPE) where the last query of a segment would see own keys past the end of `keys`
 */
export function segmentTables(list: readonly AttentionSegment[], device: Device | string): SegmentTables {
  const { segments, spans } = encodeSegments(list)
  return { segments: table(segments, 6, device), spans: table(spans, 2, device) }
}

/** The numbers of {@link segmentTables}; equal lists of spans of neighbouring segments are stored once. */
export function encodeSegments(list: readonly AttentionSegment[]): { segments: Int32Array; spans: Int32Array } {
  const segments = new Int32Array(list.length * 6)
  const spans: number[] = []
  let range: [number, number] = [0, 0]
  let known = ''
  list.forEach(({ queries, keys, causalOffset, spans: seen }, i) => {
    const rows = queries[1] - queries[0]
    if (keys && rows + causalOffset > keys[1] - keys[0]) {
      fail(
        'RangeError',
        'ERR_SHAPE',
        `[segments] expected segment ${i} to have own keys for ${rows} queries at offset ${causalOffset}, got ${keys[1] - keys[0]}`,
      )
    }
    const text = seen.join(';')
    if (text !== known || i === 0) {
      const begin = spans.length / 2
      for (const [start, end] of seen) spans.push(start, end)
      range = [begin, spans.length / 2]
      known = text
    }
    segments.set([...queries, keys ? keys[0] : -1, keys ? causalOffset : 0, ...range], i * 6)
  })
  return { segments, spans: Int32Array.from(spans) }
}

function table(data: Int32Array, width: number, device: Device | string): Tensor {
  const shape = [data.length / width, width]
  return data.length > 0 ? tensor(data, shape, { device }) : empty(shape, { device, dtype: 'i32' })
}
