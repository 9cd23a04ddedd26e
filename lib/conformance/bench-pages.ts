// The decode step that benchmarks run: a page table in order, each sequence on pages of its own.
import { type Maker, type OpShapes, range } from './bench.js'

export const pageSize = 32
const perSequence = (s: OpShapes) => Math.ceil(s.context / pageSize)

export const cacheOf = (m: Maker, s: OpShapes) =>
  m.normal([s.sequences * perSequence(s), 2, s.kvHeads, pageSize, s.headDim])

export const pagesOf = (m: Maker, s: OpShapes) =>
  m.integers(range(s.sequences * perSequence(s)), [s.sequences, perSequence(s)])

/** One slot on each sequence's pages. */
export const nextSlots = (m: Maker, s: OpShapes) =>
  m.integers(range(s.sequences).map((i) => i * perSequence(s) * pageSize + 5))

/** Sequences of `context` tokens with no prefix in common. */
export const pagesSeen = (m: Maker, s: OpShapes) => ({
  q: m.normal([s.sequences, s.heads, s.headDim]),
  kv: cacheOf(m, s),
  rowGroup: m.integers(range(s.sequences)),
  prefixPages: m.integers([], [s.sequences, 0]),
  prefixLens: m.integers(new Int32Array(s.sequences)),
  ownPages: pagesOf(m, s),
  ownLens: m.integers(new Int32Array(s.sequences).fill(s.context)),
})
