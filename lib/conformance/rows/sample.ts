import { range } from '../bench.js'
import { distribution, type Filters, softmax, uniformOf } from '../reference/sample.js'
import { type Call, integers, normal, type OpCase, type OpRow, type Values } from '../row.js'

const settings: Filters[] = [
  { temperature: 1 },
  { temperature: 0.3 },
  { temperature: 0 },
  { temperature: 1.5, topK: 7 },
  { temperature: 1, topK: 1 },
  { temperature: 1, topP: 0.6 },
  { temperature: 1, minP: 0.2 },
  { temperature: 1.2, topK: 40, topP: 0.8, minP: 0.05 },
]

const sizes: [number, number][] = [
  [1, 1],
  [59, 97],
  [5, 1025],
  [2, 3001],
  [111, 17],
  [0, 64],
]

const cases: OpCase[] = sizes.flatMap(([rows, vocabulary]) =>
  settings.map((attrs) => ({
    name: `${rows} rows of ${vocabulary}, ${JSON.stringify(attrs)}`,
    inputs: {
      logits: normal([rows, vocabulary], rows + vocabulary, 3),
      keys: integers([rows, 4], rows, 2 ** 31),
      positions: integers([rows], rows + 1, 4096),
    },
    attrs: { ...attrs },
  })),
)

// More equal logits than a sampler puts in order at once: which of them stay is told by their index.
const tied = (attrs: Filters): OpCase => ({
  name: `3 rows of 2,500 ties, ${JSON.stringify(attrs)}`,
  inputs: {
    logits: { shape: [3, 5000], values: Float64Array.from({ length: 15000 }, (_, i) => (i % 2 ? 1.5 : -1)) },
    keys: integers([3, 4], 3, 2 ** 31),
    positions: integers([3], 4, 4096),
  },
  attrs: { ...attrs },
})
cases.push(tied({ temperature: 1, topK: 2100 }), tied({ temperature: 1, topK: 3000, topP: 0.7 }))

/** Each token is where the mass, in the order of indices, passes the row's uniform number, up to rounding; its log-prob is unfiltered. */
function check({ inputs, attrs }: Call, { token, logprob }: Record<string, Values>): string | null {
  const [rows, vocabulary] = inputs.logits!.shape as [number, number]
  for (let r = 0; r < rows; r++) {
    const logits = inputs.logits!.values.subarray(r * vocabulary, (r + 1) * vocabulary)
    const t = token![r]!
    const kept = distribution(logits, attrs as unknown as Filters)
    if (!(kept[t]! > 0)) return `row ${r} drew ${t}, which is filtered out`
    const before = kept.subarray(0, t).reduce((sum, p) => sum + p, 0)
    const uniform = uniformOf(inputs.keys!.values.subarray(r * 4, r * 4 + 4), inputs.positions!.values[r]!)
    if (attrs.temperature !== 0 && !(before - 1e-5 <= uniform && uniform <= before + kept[t]! + 1e-5)) {
      return `row ${r} drew ${t}, which holds ${before} to ${before + kept[t]!} of the mass, for ${uniform}`
    }
    const expected = Math.log(softmax(logits, attrs.temperature!)[t]!)
    if (!(Math.abs(logprob![r]! - expected) <= 2e-5 * Math.max(1, Math.abs(expected)))) {
      return `row ${r} reports ${logprob![r]} for a log-prob of ${expected}`
    }
  }
  return null
}

export const rows: OpRow[] = [
  {
    op: 'sample',
    bench: {
      dtypes: ['f32'],
      inputs: (m, s) => ({
        logits: m.normal([s.sequences, s.vocab], 'f32', 3),
        keys: m.integers(range(4 * s.sequences), [s.sequences, 4]),
        positions: m.integers(range(s.sequences)),
      }),
      attrs: () => ({ temperature: 1, topK: 0, topP: 1, minP: 0 }),
    },
    cases,
    reference: () => ({}),
    check,
    rowwise: ['logits', 'keys', 'positions'],
    skip: ['nonFinite'], // an error by design, see sample.test.ts
  },
]
