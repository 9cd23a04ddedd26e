// Byte pair encoding of one pre-token, on ids.
//
// Same result as the `tokenizers` library: of all adjacent pairs that have a merge, the one of lowest rank is merged first,
// the leftmost of equals, until none is left. A heap holds candidate pairs and the pieces form a linked list, so a
// piece of n symbols takes O(n log n): a megabyte without a space is no attack. Merges are looked up in a flat hash table of
// (left id, right id): string keys made this six times slower.

import { fail } from '../errors.js'

/** Open addressing over (left, right) → merge index. */
class MergeTable {
  private readonly left: Int32Array
  private readonly right: Int32Array
  private readonly rank: Int32Array
  private readonly mask: number

  constructor(count: number) {
    const capacity = 2 ** Math.max(4, Math.ceil(Math.log2(count * 2 + 1)))
    this.mask = capacity - 1
    this.left = new Int32Array(capacity).fill(-1)
    this.right = new Int32Array(capacity)
    this.rank = new Int32Array(capacity)
  }

  private slot(left: number, right: number): number {
    let at = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0
    for (at = (at ^ (at >>> 15)) & this.mask; this.left[at] !== -1; at = (at + 1) & this.mask) {
      if (this.left[at] === left && this.right[at] === right) return at
    }
    return at
  }

  /** The first rank of a pair counts, as in the library. */
  set(left: number, right: number, rank: number): void {
    const at = this.slot(left, right)
    if (this.left[at] !== -1) return
    this.left[at] = left
    this.right[at] = right
    this.rank[at] = rank
  }

  get(left: number, right: number): number {
    const at = this.slot(left, right)
    return this.left[at] === -1 ? -1 : this.rank[at]!
  }
}

/** A heap key holds rank and position in one double: rank below 2^21, position below 2^31. */
const positions = 2 ** 31
const maxMerges = 2 ** 21

export class BytePairEncoder {
  private readonly table: MergeTable
  private readonly merged: Int32Array
  private heap = new Float64Array(256)
  private heapSize = 0

  /** `merges`: pairs of token texts in order of rank; every text and its concatenation must be in `vocabulary`. */
  constructor(merges: readonly (readonly [string, string])[], vocabulary: ReadonlyMap<string, number>, where: string) {
    if (merges.length >= maxMerges) {
      fail('RangeError', 'ERR_FORMAT', `${where}: expected fewer than ${maxMerges} merges, got ${merges.length}`)
    }
    this.table = new MergeTable(merges.length)
    this.merged = new Int32Array(merges.length)
    for (const [rank, [left, right]] of merges.entries()) {
      const ids = [left, right, left + right].map((text) => vocabulary.get(text))
      const unknown = ids.indexOf(undefined)
      if (unknown >= 0) {
        const text = [left, right, left + right][unknown]
        fail(
          'Error',
          'ERR_FORMAT',
          `${where}: merge ${rank} (${JSON.stringify(left)}, ${JSON.stringify(right)}) needs the token ${JSON.stringify(text)}, the vocabulary has none`,
        )
      }
      this.table.set(ids[0]!, ids[1]!, rank)
      this.merged[rank] = ids[2]!
    }
  }

  /** Merges `symbols` (token ids, one a character or byte) as far as they go. */
  encode(symbols: readonly number[]): number[] {
    const count = symbols.length
    if (count < 2) return [...symbols]
    const ids = Int32Array.from(symbols)
    const next = new Int32Array(count)
    const previous = new Int32Array(count)
    this.heapSize = 0
    for (let i = 0; i < count; i++) {
      next[i] = i + 1 < count ? i + 1 : -1
      previous[i] = i - 1
      if (i + 1 < count) this.push(this.table.get(ids[i]!, ids[i + 1]!), i)
    }
    while (this.heapSize > 0) {
      const key = this.pop()
      const at = key % positions
      const rank = (key - at) / positions
      const other = next[at]!
      // The entry is stale where an earlier merge has taken one of the two: a taken symbol's id is -1.
      if (ids[at] === -1 || other === -1 || this.table.get(ids[at]!, ids[other]!) !== rank) continue
      ids[at] = this.merged[rank]!
      ids[other] = -1
      const after = next[other]!
      next[at] = after
      const before = previous[at]!
      if (after !== -1) {
        previous[after] = at
        this.push(this.table.get(ids[at]!, ids[after]!), at)
      }
      if (before !== -1) this.push(this.table.get(ids[before]!, ids[at]!), before)
    }
    const out: number[] = []
    for (let i = 0; i !== -1; i = next[i]!) out.push(ids[i]!)
    return out
  }

  private push(rank: number, at: number): void {
    if (rank < 0) return
    if (this.heapSize === this.heap.length) {
      const larger = new Float64Array(this.heap.length * 2)
      larger.set(this.heap)
      this.heap = larger
    }
    const { heap } = this
    const key = rank * positions + at
    let i = this.heapSize++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent]! <= key) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = key
  }

  private pop(): number {
    const { heap } = this
    const top = heap[0]!
    const key = heap[--this.heapSize]!
    const size = this.heapSize
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= key) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = key
    return top
  }
}
