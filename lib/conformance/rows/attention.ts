import { tensor } from '../../tensor/tensor.js'
import { type AttentionCase, cases } from '../attention-case.js'
import { floats, type Maker, type OpShapes, range } from '../bench.js'
import { pagesSeen } from '../bench-pages.js'
import { roundBFloat16 } from '../harness.js'
import * as reference from '../reference/attention.js'
import { type Call, type Input, normal, type OpCase, type OpRow, type Round, type Spoiled } from '../row.js'
import { attentionTraffic } from '../tiling.js'

const exact = (x: number) => x

const table = (values: Int32Array, width: number): Input => ({
  shape: [values.length / width, width],
  values: Float64Array.from(values),
  dtype: 'i32',
})

function shapeOf(call: Call): reference.AttentionShape {
  const [, heads, dim] = call.inputs.q!.shape as [number, number, number]
  const kvHeads = call.inputs.k!.shape[1]!
  return { heads, kvHeads, dim, scale: call.attrs.scale! > 0 ? call.attrs.scale! : 1 / Math.sqrt(dim) }
}

function seenBy(call: Call): number[][] {
  const { q, segments, spans } = call.inputs
  return reference.visibleKeys(reference.segmentRows(segments!.values, spans!.values), q!.shape[0]!)
}

const inputsOf = (call: Call) => ({
  q: call.inputs.q!.values,
  k: call.inputs.k!.values,
  v: call.inputs.v!.values,
})

const forward = (call: Call, round: Round) => reference.attention(inputsOf(call), shapeOf(call), seenBy(call), round)

function backward(call: Call, round: Round) {
  const { out, lse, dOut } = call.inputs
  const inputs = { ...inputsOf(call), out: out!.values, lse: lse!.values, dOut: dOut!.values }
  return reference.attentionBackward(inputs, shapeOf(call), seenBy(call), round)
}

function forwardCase(c: AttentionCase, attrs: Record<string, number> = {}, size = 1): OpCase {
  const seed = c.queries * 31 + c.keys
  return {
    name: c.name,
    inputs: {
      q: normal([c.queries, c.heads, c.dim], seed + 1, size),
      k: normal([c.keys, c.kvHeads, c.dim], seed + 2, size),
      v: normal([c.keys, c.kvHeads, c.dim], seed + 3),
      segments: table(c.segments, 6),
      spans: table(c.spans, 2),
    },
    attrs,
  }
}

function backwardCase(c: AttentionCase, attrs: Record<string, number> = {}, size = 1): OpCase {
  const { inputs } = forwardCase(c, attrs, size)
  // with large scores, an lse of inputs that bf16 cannot hold would be far from the lse of their roundings
  if (size !== 1) for (const x of [inputs.q!, inputs.k!, inputs.v!]) x.values = x.values.map(roundBFloat16)
  const { out, lse } = forward({ inputs, attrs: { scale: attrs.scale ?? 0 } }, Math.fround)
  const { q, k, v, segments, spans } = inputs
  return {
    name: c.name,
    inputs: {
      q: q!,
      k: k!,
      v: v!,
      out: { shape: q!.shape, values: out },
      lse: { shape: q!.shape.slice(0, 2), values: lse.map(Math.fround), dtype: 'f32' },
      dOut: normal(q!.shape, c.queries + 17),
      segments: segments!,
      spans: spans!,
    },
    attrs,
  }
}

/** The case with NaN in a row of some inputs. */
function spoil(c: OpCase, names: readonly string[], row: number): OpCase {
  const inputs = { ...c.inputs }
  for (const name of names) {
    const input = inputs[name]!
    const width = input.values.length / input.shape[0]!
    inputs[name] = { ...input, values: input.values.slice().fill(Number.NaN, row * width, (row + 1) * width) }
  }
  return { ...c, name: `NaN in row ${row} of ${names.join(' and ')}`, inputs }
}

/** Keys that are spoiled: rows that do not see them keep their results. */
function unseenKeys(c: OpCase, results: readonly string[]): Spoiled[] {
  const [, heads, dim] = c.inputs.q!.shape as [number, number, number]
  const keys = c.inputs.k!.shape[0]!
  const seen = seenBy({ inputs: c.inputs, attrs: {} })
  return (keys > 0 ? [Math.floor((2 * keys) / 3), keys - 1] : []).map((key) => {
    const hidden = seen.map((list) => !list.includes(key))
    const kept = (width: number) => (element: number) => hidden[Math.floor(element / width)]!
    return {
      case: spoil(c, ['k', 'v'], key),
      keeps: Object.fromEntries(results.map((name) => [name, kept(name === 'lse' ? heads : heads * dim)])),
    }
  })
}

/** Rows that are spoiled: other rows, and keys that these rows do not see, keep their gradients. */
function unseenRows(c: OpCase): Spoiled[] {
  const [queries, heads, dim] = c.inputs.q!.shape as [number, number, number]
  const kvHeads = c.inputs.k!.shape[1]!
  const seen = seenBy({ inputs: c.inputs, attrs: {} })
  return (queries > 0 ? [Math.floor(queries / 2), queries - 1] : []).map((row) => {
    const reached = new Set(seen[row])
    const key = (element: number) => !reached.has(Math.floor(element / (kvHeads * dim)))
    return {
      case: spoil(c, ['q', 'out', 'lse', 'dOut'], row),
      keeps: { dq: (element) => Math.floor(element / (heads * dim)) !== row, dk: key, dv: key },
    }
  })
}

/** Scores past 100: nearly all the weight of a row is on one key, and an lse in fp32 no longer gives exact weights. */
const large = { ...cases[2]!, name: 'large scores' }
const scaled = { ...cases[1]!, name: 'a scale of its own' }

function derivative(call: Call) {
  const { q, k, v, dOut } = call.inputs
  const loss = () => forward(call, exact).out.reduce((sum, y, i) => sum + y * dOut!.values[i]!, 0)
  return { variables: { dq: q!.values, dk: k!.values, dv: v!.values }, loss }
}

/**
 * Pages in an order that is nobody's, so that only the tables can find them. The prefix of group g + 1 begins with the first `alike[g]`
 * pages of the one before.
 */
function decodeCase(
  name: string,
  [heads, kvHeads, dim]: [number, number, number],
  pageSize: number,
  prefixes: number[],
  rows: [group: number, own: number][],
  alike: number[] = [],
): OpCase {
  const pagesOf = (tokens: number) => Math.ceil(tokens / pageSize)
  const prefixWidth = Math.max(0, ...prefixes.map(pagesOf))
  const ownWidth = Math.max(0, ...rows.map(([, own]) => pagesOf(own)))
  const total = prefixes.length * prefixWidth + rows.length * ownWidth + 1
  const shuffled = Array.from({ length: total }, (_, i) => (i * 7919 + 13) % 104729)
    .map((key, page) => ({ key, page }))
    .sort((a, b) => a.key - b.key)
    .map(({ page }) => page)
  const take = (count: number) => Float64Array.from(shuffled.splice(0, count))
  const prefixPages = take(prefixes.length * prefixWidth)
  for (const [g, count] of alike.entries()) {
    prefixPages.copyWithin((g + 1) * prefixWidth, g * prefixWidth, g * prefixWidth + count)
  }
  const ints = (values: ArrayLike<number>, shape: number[]): Input => ({
    shape,
    values: Float64Array.from(values),
    dtype: 'i32',
  })
  return {
    name,
    inputs: {
      q: normal([rows.length, heads, dim], rows.length + dim),
      kv: normal([total, 2, kvHeads, pageSize, dim], total + dim),
      rowGroup: ints(
        rows.map(([group]) => group),
        [rows.length],
      ),
      prefixPages: ints(prefixPages, [prefixes.length, prefixWidth]),
      prefixLens: ints(prefixes, [prefixes.length]),
      ownPages: ints(take(rows.length * ownWidth), [rows.length, ownWidth]),
      ownLens: ints(
        rows.map(([, own]) => own),
        [rows.length],
      ),
    },
  }
}

/** The pages of each row gathered into plain keys and values, then the reference of attention. */
function decode(call: Call, round: Round) {
  const { q, kv, rowGroup, prefixPages, prefixLens, ownPages, ownLens } = call.inputs
  const [batch, heads, dim] = q!.shape as [number, number, number]
  const [, , kvHeads, pageSize] = kv!.shape as [number, number, number, number]
  const out = new Float64Array(q!.values.length)
  for (let r = 0; r < batch; r++) {
    const g = rowGroup!.values[r]!
    if (g < 0) continue
    const slots = (pages: Input, row: number, count: number) =>
      Array.from({ length: count }, (_, i) => {
        const page = pages.values[row * pages.shape[1]! + Math.floor(i / pageSize)]!
        return [page, i % pageSize] as const
      })
    const all = [...slots(prefixPages!, g, prefixLens!.values[g]!), ...slots(ownPages!, r, ownLens!.values[r]!)]
    const gather = (half: number) =>
      Float64Array.from(
        all.flatMap(([page, slot]) =>
          Array.from({ length: kvHeads }, (_, h) => {
            const at = (((page * 2 + half) * kvHeads + h) * pageSize + slot) * dim
            return [...kv!.values.subarray(at, at + dim)]
          }).flat(),
        ),
      )
    const row = { q: q!.values.slice(r * heads * dim, (r + 1) * heads * dim), k: gather(0), v: gather(1) }
    const shape = { heads, kvHeads, dim, scale: call.attrs.scale! > 0 ? call.attrs.scale! : 1 / Math.sqrt(dim) }
    out.set(reference.attention(row, shape, [all.map((_, i) => i)], round).out, r * heads * dim)
  }
  return { out }
}

const many = Array.from({ length: 41 }, (_, i): [number, number] => [Math.floor(i / 19), 1 + ((i * 13) % 70)])

const answers = 8

/** Rows of the prompt, and of each of the answers that see it: a shared-prefix training batch. */
const partsOf = (s: OpShapes) => {
  const each = Math.floor((s.rows * 96) / 1368)
  return { each, prompt: s.rows - answers * each }
}

function attended(m: Maker, s: OpShapes) {
  const { each, prompt } = partsOf(s)
  const answer = (g: number) => [prompt + g * each, prompt + (g + 1) * each, prompt + g * each, 0, 0, 1]
  return {
    q: m.normal([s.rows, s.heads, s.headDim]),
    k: m.normal([s.rows, s.kvHeads, s.headDim]),
    v: m.normal([s.rows, s.kvHeads, s.headDim]),
    segments: m.integers([[0, prompt, 0, 0, 0, 0], ...range(answers).map(answer)].flat(), [answers + 1, 6]),
    spans: m.integers([0, prompt], [1, 2]),
  }
}

function tilesSeen(s: OpShapes): number {
  const { each, prompt } = partsOf(s)
  return attentionTraffic(
    [{ rows: prompt, prefix: 0 }, ...range(answers).map(() => ({ rows: each, prefix: prompt }))],
    s,
  )
}

/** Pairs of a query and a key that it sees. Scores and weighted values are 2 D operations each; backward has five such products. */
function pairsSeen(s: OpShapes): number {
  const { each, prompt } = partsOf(s)
  const causal = (n: number) => (n * (n + 1)) / 2
  return causal(prompt) + answers * (each * prompt + causal(each))
}

export const rows: OpRow[] = [
  {
    op: 'attention',
    bench: {
      dtypes: floats,
      inputs: (m, s) => attended(m, s),
      flops: (s) => 4 * s.headDim * s.heads * pairsSeen(s),
      tiles: tilesSeen,
    },
    cases: [...cases.map((c) => forwardCase(c)), forwardCase(scaled, { scale: 0.7 }), forwardCase(large, {}, 6)],
    reference: forward,
    unseen: (c) => unseenKeys(c, ['out', 'lse']),
  },
  {
    op: 'attentionBackward',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        ...attended(m, s),
        out: m.normal([s.rows, s.heads, s.headDim]),
        lse: tensor(new Float32Array(s.rows * s.heads).fill(7), [s.rows, s.heads], { device: m.device }),
        dOut: m.normal([s.rows, s.heads, s.headDim]),
      }),
      flops: (s) => 10 * s.headDim * s.heads * pairsSeen(s),
    },
    cases: [...cases.map((c) => backwardCase(c)), backwardCase(scaled, { scale: 0.7 }), backwardCase(large, {}, 6)],
    reference: backward,
    gradient: derivative,
    unseen: (c) => [...unseenKeys(c, ['dq']), ...unseenRows(c)],
    // an lse that is not the scores' own has no meaning here; attention.test.ts puts NaN into q, k, v and dOut
    skip: ['nonFinite'],
  },
  {
    op: 'decodeAttention',
    bench: {
      dtypes: floats,
      inputs: (m, s) => pagesSeen(m, s),
      flops: (s) => 4 * s.headDim * s.heads * s.sequences * s.context,
    },
    cases: [
      decodeCase(
        'groups, ragged rows',
        [9, 3, 64],
        16,
        [37, 100, 0],
        [
          [0, 5],
          [0, 1],
          [1, 70],
          [1, 64],
          [2, 3],
        ],
      ),
      decodeCase(
        'inactive rows, nothing of their own, one group twice',
        [2, 1, 12],
        5,
        [11, 3],
        [
          [0, 2],
          [-1, 9],
          [0, 0],
          [1, 4],
          [0, 1],
          [-1, 0],
        ],
      ),
      decodeCase(
        'a page per token',
        [4, 4, 80],
        1,
        [9],
        [
          [0, 3],
          [0, 2],
        ],
      ),
      decodeCase('more rows than are folded at once', [3, 1, 32], 64, [129, 5, 64], many),
      decodeCase(
        'prefixes that begin with the same pages',
        [6, 2, 32],
        16,
        [137, 200, 90, 64, 300],
        [
          [0, 3],
          [1, 20],
          [1, 0],
          [2, 7],
          [3, 1],
          [-1, 2],
          [3, 65],
          [4, 2],
          [1, 1],
        ],
        [8, 6, 1, 4],
      ),
      decodeCase('nothing to see', [7, 1, 128], 8, [0], [[0, 0]]),
      decodeCase('one long row', [1, 1, 20], 32, [0], [[0, 1025]]),
      decodeCase('no rows', [3, 1, 64], 16, [20], []),
    ],
    reference: decode,
    rowwise: ['q', 'rowGroup', 'ownPages', 'ownLens'],
  },
]
