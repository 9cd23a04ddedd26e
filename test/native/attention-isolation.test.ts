import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { causal, group } from '../../lib/conformance/attention-case.js'
import { attention, attentionBackward, decodeAttention } from '../../lib/tensor/ops.generated.js'
import { type AttentionSegment, segmentTables } from '../../lib/tensor/segments.js'
import type { Tensor } from '../../lib/tensor/tensor.js'
import { testDevice } from '../support/device.js'
import { ints, make, rowsOf, sameBits } from './attention-tensors.js'

// What a row does not see cannot reach it: its bits are the same whatever keys, values and rows behind the mask hold, NaN and
// infinities too. A sample of a group that went wrong stays alone, and so do slots of a page that nobody has written.

interface Case {
  name: string
  segments: AttentionSegment[]
  rows: number
  heads: number
  kvHeads: number
  dim: number
  /** Rows that are spoiled in turn, by NaN and infinity: of the prompt, at the edges of blocks of 64, and of samples. */
  spoiled: number[]
}

const withSpan = (rows: number, at: number, span: [number, number]): AttentionSegment => ({
  ...causal(rows, at),
  spans: [span],
})

const cases: Case[] = [
  {
    name: 'samples of a group, fp32 arithmetic',
    segments: group(70, [9, 1, 4, 12]),
    rows: 96,
    heads: 3,
    kvHeads: 1,
    dim: 16,
    spoiled: [1, 66, 75, 93],
  },
  {
    name: 'short samples, whose rows share a tile',
    segments: group(70, [9, 1, 4, 12, 7, 3]),
    rows: 106,
    heads: 6,
    kvHeads: 2,
    dim: 64,
    spoiled: [0, 69, 73, 79, 82],
  },
  {
    name: 'seven heads a key, rows in no segment',
    segments: [...group(40, [3, 2, 30]), withSpan(5, 80, [3, 40])],
    rows: 88,
    heads: 7,
    kvHeads: 1,
    dim: 128,
    spoiled: [5, 41, 74, 82],
  },
  {
    name: 'a head for each key, D 80',
    segments: [...group(66, [20, 31]), causal(9, 117)],
    rows: 126,
    heads: 1,
    kvHeads: 1,
    dim: 80,
    spoiled: [63, 70, 90],
  },
]

type Side = 'q' | 'k' | 'v' | 'dOut'

const dtypes = ['f32', 'bf16'] as const
const values = [Number.NaN, Number.POSITIVE_INFINITY]

for (const dtype of dtypes) {
  for (const c of cases) {
    if (dtype === 'f32' && c.dim > 16) continue // tensor cores are the ones that multiply what is not seen
    test(`what a row does not see cannot reach it: ${dtype}, ${c.name}`, async () => {
      const { segments, rows, heads, kvHeads, dim } = c
      const tables = segmentTables(segments, testDevice)
      const run = async (bad?: { side: Side; row: number; value: number }) => {
        const input = (side: Side, count: number, seed: number) =>
          make([rows, count, dim], seed, dtype, (x) => {
            if (bad?.side !== side) return
            const at = bad.row * count * dim
            x.fill(bad.value, at, at + 3)
            x.fill(bad.value, at + count * dim - 1, at + count * dim)
          })
        const [q, k, v] = [input('q', heads, 11), input('k', kvHeads, 12), input('v', kvHeads, 13)]
        const dOut = input('dOut', heads, 14)
        const { out, lse } = attention(q, k, v, tables.segments, tables.spans)
        const { dq, dk, dv } = attentionBackward(q, k, v, out, lse, dOut, tables.segments, tables.spans)
        const all = { out, lse, dq, dk, dv }
        const read = Object.entries(all).map(async ([name, t]) => [name, await rowsOf(t)] as const)
        const result = Object.fromEntries(await Promise.all(read)) as Record<
          keyof typeof all,
          Awaited<ReturnType<typeof rowsOf>>
        >
        for (const t of [q, k, v, dOut, ...Object.values(all)]) t.dispose()
        return result
      }
      const seen = (t: number, j: number) =>
        segments.some(
          ({ queries, keys, spans }) =>
            t >= queries[0] &&
            t < queries[1] &&
            (spans.some(([a, b]) => j >= a && j < b) || (j >= keys![0] && j <= keys![0] + t - queries[0])),
        )
      const finite = (x: Float32Array) => x.every((y) => Number.isFinite(y))
      const clean = await run()
      for (const [i, row] of c.spoiled.entries()) {
        const value = values[i % 2]!
        for (const side of ['k', 'v'] as const) {
          const got = await run({ side, row, value })
          const reached = new Set<number>() // keys that a row sees which sees the spoiled one
          for (let t = 0; t < rows; t++) {
            const what = `${value} in ${side} ${row}`
            if (seen(t, row)) {
              if (side === 'v' || Number.isNaN(value)) assert.not(finite(got.out(t)), `row ${t} sees ${what}`)
              for (let j = 0; j < rows; j++) if (seen(t, j)) reached.add(j)
              continue
            }
            for (const name of ['out', 'lse', 'dq'] as const)
              sameBits(got[name](t), clean[name](t), `${name} of row ${t}, ${what}`)
          }
          for (let j = 0; j < rows; j++) {
            if (reached.has(j)) continue
            for (const name of ['dk', 'dv'] as const)
              sameBits(got[name](j), clean[name](j), `${name} of key ${j}, ${value} in ${side} ${row}`)
          }
        }
        for (const side of ['q', 'dOut'] as const) {
          const got = await run({ side, row, value })
          const what = `${value} in ${side} ${row}`
          for (let t = 0; t < rows; t++) {
            if (t !== row) {
              for (const name of ['out', 'lse', 'dq'] as const)
                sameBits(got[name](t), clean[name](t), `${name} of row ${t}, ${what}`)
            }
            if (seen(row, t)) continue
            for (const name of ['dk', 'dv'] as const)
              sameBits(got[name](t), clean[name](t), `${name} of key ${t}, ${what}`)
          }
        }
      }
    })
  }

  test(`decode: unwritten slots and other samples' tokens reach nobody: ${dtype}`, async () => {
    const [heads, kvHeads, dim, pageSize, prefix, group] = [6, 2, 64, 16, 37, 4]
    const own = [5, 16, 70, 1]
    const prefixWidth = Math.ceil(prefix / pageSize)
    const ownWidth = Math.ceil(Math.max(...own) / pageSize)
    const prefixPages = Array.from({ length: prefixWidth }, (_, i) => i)
    const ownPages = Array.from({ length: group * ownWidth }, (_, i) => prefixWidth + i)
    const pages = prefixWidth + group * ownWidth
    const slots = kvHeads * pageSize * dim
    /** Fills the slots of a sample from a token on, or its whole query row. */
    const run = async (spoil: { unwritten?: boolean; sample?: number }, value: number) => {
      const q = make([group, heads, dim], 21, dtype, (x) => {
        if (spoil.sample !== undefined) x.fill(value, spoil.sample * heads * dim, (spoil.sample + 1) * heads * dim)
      })
      const kv = make([pages, 2, kvHeads, pageSize, dim], 22, dtype, (x) => {
        const fill = (page: number, slot: number) => {
          for (let part = 0; part < 2 * kvHeads; part++) {
            const at = page * 2 * slots + (part * pageSize + slot) * dim
            x.fill(value, at, at + dim)
          }
        }
        for (let at = 0; at < prefixWidth * pageSize; at++)
          if (spoil.unwritten && at >= prefix) fill(Math.floor(at / pageSize), at % pageSize)
        for (let s = 0; s < group; s++)
          for (let at = 0; at < ownWidth * pageSize; at++)
            if (spoil.unwritten ? at >= own[s]! : s === spoil.sample)
              fill(prefixWidth + s * ownWidth + Math.floor(at / pageSize), at % pageSize)
      })
      const tables: [Tensor, Tensor, Tensor, Tensor, Tensor] = [
        ints(own.map(() => 0)),
        ints(prefixPages, [1, prefixWidth]),
        ints([prefix]),
        ints(ownPages, [group, ownWidth]),
        ints(own),
      ]
      return rowsOf(decodeAttention(q, kv, ...tables))
    }
    const clean = await run({}, 0)
    for (const value of values) {
      const padded = await run({ unwritten: true }, value)
      sameBits(padded(0, group), clean(0, group), `${value} in slots that nobody has written`)
      for (let sample = 0; sample < group; sample++) {
        const got = await run({ sample }, value)
        for (let s = 0; s < group; s++)
          if (s !== sample) sameBits(got(s), clean(s), `row ${s}, ${value} in sample ${sample}`)
      }
    }
  })
}

test.run()
