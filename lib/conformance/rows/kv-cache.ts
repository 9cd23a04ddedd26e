import { floats, range } from '../bench.js'
import { cacheOf, nextSlots, pageSize, pagesOf } from '../bench-pages.js'
import { type Call, constant, type Input, normal, type OpCase, type OpRow } from '../row.js'

const ints = (values: number[], shape = [values.length]): Input => ({
  shape,
  values: Float64Array.from(values),
  dtype: 'i32',
})

/** Distinct slots in a scattered order, some tokens without one. */
function slotsFor(tokens: number, limit: number): number[] {
  const slots = Array.from({ length: tokens }, (_, t) => (t % 5 === 3 ? -1 : (t * 11 + 3) % limit))
  const used = slots.filter((slot) => slot >= 0)
  if (new Set(used).size < used.length) throw new Error(`slotsFor(${tokens}, ${limit}) repeats a slot`)
  return slots
}

function writeCase(name: string, tokens: number, [pages, heads, pageSize, dim]: number[]): OpCase {
  return {
    name,
    inputs: {
      k: normal([tokens, heads!, dim!], tokens + 1),
      v: normal([tokens, heads!, dim!], tokens + 2),
      kv: normal([pages!, 2, heads!, pageSize!, dim!], tokens + 3),
      slots: ints(slotsFor(tokens, pages! * pageSize!)),
    },
  }
}

/** Calls fn(token, head, half, offset in kv, offset in k or v) for every token that has a slot. */
function forSlots(kv: Input, slots: Input, fn: (half: number, inCache: number, inRow: number) => void): void {
  const [, , heads, pageSize, dim] = kv.shape as [number, number, number, number, number]
  slots.values.forEach((slot, t) => {
    if (slot < 0) return
    const [page, offset] = [Math.floor(slot / pageSize), slot % pageSize]
    for (let h = 0; h < heads; h++)
      for (const half of [0, 1])
        for (let d = 0; d < dim; d++) {
          fn(half, (((page * 2 + half) * heads + h) * pageSize + offset) * dim + d, (t * heads + h) * dim + d)
        }
  })
}

function write({ inputs }: Call) {
  const { k, v, kv, slots } = inputs
  const after = kv!.values.slice()
  forSlots(kv!, slots!, (half, at, from) => {
    after[at] = (half ? v! : k!).values[from]!
  })
  return { kv: after }
}

function read({ inputs }: Call) {
  const { kv, slots } = inputs
  const size = slots!.shape[0]! * kv!.shape[2]! * kv!.shape[4]!
  const rows = { k: new Float64Array(size), v: new Float64Array(size) }
  forSlots(kv!, slots!, (half, at, to) => {
    rows[half ? 'v' : 'k'][to] = kv!.values[at]!
  })
  return rows
}

function slotsOf({ inputs, attrs }: Call) {
  const { ownPages, ownLens } = inputs
  const [rows, width] = ownPages!.shape as [number, number]
  const size = attrs.pageSize!
  return {
    slots: Float64Array.from({ length: rows }, (_, r) => {
      const last = ownLens!.values[r]! - 1
      return last < 0 ? -1 : ownPages!.values[r * width + Math.floor(last / size)]! * size + (last % size)
    }),
  }
}

function advance({ inputs }: Call) {
  const { rowGroup, positions, ownLens } = inputs
  const next = (x: Input) => x.values.map((n, r) => (rowGroup!.values[r]! >= 0 ? Math.min(n + 1, 2 ** 31 - 1) : n))
  return { positions: next(positions!), ownLens: next(ownLens!) }
}

export const rows: OpRow[] = [
  {
    op: 'kvWrite',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        k: m.normal([s.sequences, s.kvHeads, s.headDim]),
        v: m.normal([s.sequences, s.kvHeads, s.headDim]),
        kv: cacheOf(m, s),
        slots: nextSlots(m, s),
      }),
    },
    cases: [
      writeCase('three heads', 59, [9, 3, 16, 64]),
      writeCase('pages of one token', 4, [6, 1, 1, 4]),
      writeCase('many tokens', 1025, [70, 2, 16, 20]),
      writeCase('no tokens', 0, [2, 1, 4, 8]),
    ],
    reference: write,
  },
  {
    op: 'kvRead',
    bench: { dtypes: floats, inputs: (m, s) => ({ kv: cacheOf(m, s), slots: nextSlots(m, s) }) },
    cases: [
      { name: 'three heads', inputs: { kv: normal([7, 2, 3, 16, 12], 5), slots: ints([0, 111, -1, 17, 17, 95]) } },
      { name: 'many tokens', inputs: { kv: normal([70, 2, 2, 16, 32], 6), slots: ints(slotsFor(1025, 1120)) } },
      { name: 'no tokens', inputs: { kv: normal([1, 2, 1, 4, 8], 7), slots: ints([]) } },
    ],
    reference: read,
  },
  {
    op: 'decodeSlots',
    bench: {
      dtypes: ['f32'],
      inputs: (m, s) => ({ ownPages: pagesOf(m, s), ownLens: m.integers(new Int32Array(s.sequences).fill(s.context)) }),
      attrs: () => ({ pageSize }),
    },
    cases: [
      {
        name: 'ends and beginnings of pages',
        inputs: { ownPages: ints([5, 0, 9, 3, 2, 7, 1, 8], [4, 2]), ownLens: ints([16, 17, 0, 1]) },
        attrs: { pageSize: 16 },
      },
      { name: 'no rows', inputs: { ownPages: constant([0, 3], 0, 'i32'), ownLens: ints([]) }, attrs: { pageSize: 4 } },
    ],
    reference: slotsOf,
    rowwise: ['ownPages', 'ownLens'],
  },
  {
    op: 'decodeAdvance',
    bench: {
      dtypes: ['f32'],
      inputs: (m, s) => ({
        rowGroup: m.integers(range(s.sequences)),
        positions: m.integers(new Int32Array(s.sequences)),
        ownLens: m.integers(new Int32Array(s.sequences)),
      }),
    },
    cases: [
      {
        name: 'active and inactive rows',
        inputs: { rowGroup: ints([0, -1, 3, -1, 0]), positions: ints([7, 8, 9, 0, 1]), ownLens: ints([1, 2, 3, 0, 0]) },
      },
      {
        name: 'the last number that there is',
        inputs: {
          rowGroup: ints([0, 0]),
          positions: ints([2 ** 31 - 1, 2 ** 31 - 2]),
          ownLens: ints([5, 2 ** 31 - 1]),
        },
      },
      { name: 'no rows', inputs: { rowGroup: ints([]), positions: ints([]), ownLens: ints([]) } },
    ],
    reference: advance,
    rowwise: ['rowGroup', 'positions', 'ownLens'],
  },
]
