import { type AttentionSegment, encodeSegments } from '../tensor/segments.js'

/** Attention problems that the conformance rows and the tests of bitwise equality share. */
export interface AttentionCase {
  name: string
  queries: number
  keys: number
  heads: number
  kvHeads: number
  dim: number
  /** The op tables, as numbers. */
  segments: Int32Array
  spans: Int32Array
}

export const causal = (rows: number, at = 0): AttentionSegment => ({
  queries: [at, at + rows],
  keys: [at, at + rows],
  causalOffset: 0,
  spans: [],
})

/** A prompt's first `prefix` rows, then completions that see them. */
export function group(prefix: number, completions: readonly number[], at = 0): AttentionSegment[] {
  let row = at + prefix
  return [
    causal(prefix, at),
    ...completions.map((rows): AttentionSegment => {
      const begin = row
      row += rows
      return { ...causal(rows, begin), spans: [[at, at + prefix]] }
    }),
  ]
}

export function caseOf(
  name: string,
  list: readonly AttentionSegment[],
  [heads, kvHeads, dim]: readonly [number, number, number],
  sizes: { queries?: number; keys?: number } = {},
): AttentionCase {
  const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b), 0)
  const queries = sizes.queries ?? most(list.map((s) => s.queries[1]))
  const keys = sizes.keys ?? most(list.flatMap((s) => [s.keys?.[1] ?? 0, ...s.spans.map((span) => span[1])]))
  return { name, ...encodeSegments(list), heads, kvHeads, dim, queries, keys }
}

const nothing = (queries: [number, number]): AttentionSegment => ({ queries, keys: null, causalOffset: 0, spans: [] })

/** Odd sizes, head ratios 1, 2, 3 and 7, every kind of table. */
export const cases: AttentionCase[] = [
  caseOf('one row of one key', [causal(1)], [1, 1, 4]),
  caseOf('causal, three heads a key', [causal(59)], [3, 1, 12]),
  caseOf('a group of completions', group(37, [5, 1, 20, 64]), [9, 3, 64]),
  caseOf('two groups, D 80', [...group(70, [3, 17]), ...group(9, [33, 2], 90)], [4, 2, 80]),
  caseOf('seven heads a key, D 128', group(97, [11, 40]), [7, 1, 128]),
  caseOf('packed sequences, some of no rows', [causal(5), causal(0, 5), causal(65, 5), causal(64, 70)], [2, 2, 20]),
  caseOf(
    'several spans, empty ones among them, a span shorter than the run it begins',
    [
      causal(70),
      { ...causal(31, 70), spans: [[0, 70]] },
      {
        ...causal(12, 101),
        spans: [
          [0, 33],
          [40, 40],
          [70, 101],
          [5, 25],
        ],
      },
      { queries: [113, 120], keys: null, causalOffset: 0, spans: [[3, 104]] },
    ],
    [6, 3, 16],
  ),
  caseOf(
    'chunked prefill: earlier keys by causalOffset',
    [{ queries: [0, 45], keys: [3, 140], causalOffset: 92, spans: [] }],
    [3, 3, 64],
  ),
  caseOf(
    'rows that see nothing, rows in no segment, keys nobody sees',
    [
      { queries: [2, 21], keys: [4, 15], causalOffset: -8, spans: [] },
      nothing([25, 29]),
      { queries: [40, 44], keys: null, causalOffset: 0, spans: [[30, 31]] },
    ],
    [2, 1, 32],
    { queries: 50, keys: 40 },
  ),
  caseOf('one long row', [{ queries: [0, 1], keys: [0, 1025], causalOffset: 1024, spans: [] }], [3, 1, 8]),
  caseOf(
    'short samples share tiles, with what is left of longer ones too',
    [...group(70, [9, 1, 4, 12, 7, 3]), ...group(20, [30, 33, 2, 30], 106), nothing([221, 224]), causal(5, 224)],
    [6, 2, 64],
  ),
  caseOf(
    'neighbours whose spans differ share nothing',
    [
      causal(40),
      { ...causal(6, 40), spans: [[0, 40]] },
      { ...causal(5, 46), spans: [[0, 39]] },
      { ...causal(7, 51), spans: [[0, 39]] },
      // another sample's keys, and none of its own
      { queries: [58, 61], keys: null, causalOffset: 0, spans: [[0, 39]] },
      { queries: [61, 65], keys: [58, 61], causalOffset: -2, spans: [[0, 39]] },
    ],
    [1, 1, 128],
  ),
  caseOf(
    'a whole block of keys that nobody sees',
    [
      { ...causal(7, 2), keys: [131, 138], spans: [[0, 30]] },
      { queries: [9, 12], keys: [3, 5], causalOffset: -8, spans: [] },
    ],
    [3, 1, 64],
    { queries: 14, keys: 140 },
  ),
  caseOf('no segments', [], [3, 1, 8], { queries: 7, keys: 3 }),
  caseOf('no rows', [], [2, 2, 16], { queries: 0, keys: 0 }),
]
