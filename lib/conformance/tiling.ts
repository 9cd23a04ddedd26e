// What the tiles of the GPU's tensor-core kernels must read and write at least: every tile loads what it multiplies once, and nothing is
// kept between tiles. The edges are those of native/cuda (gemm.cuh: Large, Medium; attention_core.cuh: MmaCore).

/** Multiprocessors that the emulator states (an H100's): tiles are large where enough of them fill it. */
const multiprocessors = 132

/** Bytes of C [m, n] = A [m, k] B [k, n] in bf16 with more than 64 rows; `accumulate` reads what is added to, `outSize` bytes an element. */
export function productTraffic(m: number, n: number, k: number, { outSize = 2, accumulate = false } = {}): number {
  const tiles = (edge: number) => [Math.ceil(m / edge), Math.ceil(n / edge)] as const
  const [a, b] = tiles(128)
  const [rows, columns] = a * b >= multiprocessors ? [a, b] : tiles(64)
  return 2 * k * (m * columns + n * rows) + m * n * outSize * (accumulate ? 2 : 1)
}

/** A segment for {@link attentionTraffic}: its rows and the keys of its spans. */
export interface SegmentRows {
  rows: number
  prefix: number
}

/**
 * Bytes of causal attention over segments in bf16, forward: a tile holds 64 rows (tokens times the query heads of a kv head) and reads the
 * keys and values that its last token sees.
 */
export function attentionTraffic(
  segments: readonly SegmentRows[],
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
): number {
  const tokens = Math.floor(64 / (heads / kvHeads))
  let keys = 0
  let rows = 0
  for (const s of segments) {
    rows += s.rows
    for (let begin = 0; begin < s.rows; begin += tokens) keys += s.prefix + Math.min(s.rows, begin + tokens)
  }
  return keys * kvHeads * headDim * 2 * 2 + rows * heads * (headDim * 2 * 2 + 4)
}
