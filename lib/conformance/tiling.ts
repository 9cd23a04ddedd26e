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

/** A segment for {@link attentionTraffic}: its rows and the keys of its spans. Neighbours with as many keys in their spans have the same ones. */
export interface SegmentRows {
  rows: number
  prefix: number
}

/**
 * Bytes of causal attention over segments in bf16, forward: a tile holds 64 rows (tokens times the query heads of a kv head). It reads the
 * keys and values of its spans, and of each of its segments those that the last token sees. With `shared` tiles a segment gives first rows
 * to the tile in front where that saves a tile (attention_tiles.cuh); without, each segment has tiles of its own.
 */
export function attentionTraffic(
  segments: readonly SegmentRows[],
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
  { shared = true } = {},
): number {
  const tokens = Math.floor(64 / (heads / kvHeads))
  const tiles = (rows: number) => Math.ceil(rows / tokens)
  let [keys, rows, room] = [0, 0, 0]
  segments.forEach((s, i) => {
    const follows = shared && s.prefix > 0 && segments[i - 1]?.prefix === s.prefix
    const possible = follows ? Math.min(room, s.rows) : 0
    const given = tiles(s.rows - possible) < tiles(s.rows) ? possible : 0
    room = given > 0 && given === s.rows ? room - given : tiles(s.rows - given) * tokens - (s.rows - given)
    rows += s.rows
    keys += given
    for (let begin = given; begin < s.rows; begin += tokens) keys += s.prefix + Math.min(s.rows, begin + tokens)
  })
  return keys * kvHeads * headDim * 2 * 2 + rows * heads * (headDim * 2 * 2 + 4)
}
