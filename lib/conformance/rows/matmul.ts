import { floats } from '../bench.js'
import * as reference from '../reference/matmul.js'
import { type Call, constant, type Input, normal, type OpCase, type OpRow } from '../row.js'
import { productTraffic } from '../tiling.js'

const exact = (x: number) => x

/** [rows T, outputs N, inputs K]: tile, panel and depth edges of the kernels, and none of them. */
const sizes: [number, number, number][] = [
  [1, 1, 1],
  [1, 59, 97],
  [5, 64, 32],
  [7, 65, 33],
  [13, 111, 59],
  [97, 17, 72],
  [3, 3, 1025],
  [1025, 2, 5],
  [49, 200, 128],
  [0, 5, 7],
  [4, 0, 7],
  [4, 5, 0],
]

const inputsOf = (pairs: [string, number[]][], seed: number): Record<string, Input> =>
  Object.fromEntries(pairs.map(([name, shape], i) => [name, normal(shape, seed + i)]))

const cases = (build: (t: number, n: number, k: number) => OpCase): OpCase[] =>
  sizes.map(([t, n, k]) => {
    const c = build(t, n, k)
    return { ...c, name: `${c.name ? `${c.name}, ` : ''}${t} rows, ${n} by ${k}` }
  })

const f32 = (input: Input): Input => ({ ...input, dtype: 'f32' })

const linearCases: OpCase[] = [
  ...cases((t, n, k) => ({ name: '', inputs: inputsOf([['x', [t, k]], ['w', [n, k]]], t + n) })), // biome-ignore format: one line a case
  ...cases((t, n, k) => ({ name: 'bias', inputs: inputsOf([['x', [t, k]], ['w', [n, k]], ['bias', [n]]], t * n) })), // biome-ignore format: one line a case
  ...cases((t, n, k) => ({ name: 'residual', inputs: inputsOf([['x', [t, k]], ['w', [n, k]], ['residual', [t, n]]], t + 2 * n) })), // biome-ignore format: one line a case
  {
    name: 'bias and residual, a depth of several pieces, f32 output',
    inputs: inputsOf([['x', [5, 4200]], ['w', [70, 4200]], ['bias', [70]], ['residual', [5, 70]]], 8), // biome-ignore format: one line
    attrs: { f32Output: true },
  },
  ...cases((t, n, k) => ({
    name: 'f32 output',
    inputs: inputsOf([['x', [t, k]], ['w', [n, k]]], t + k), // biome-ignore format: one line
    attrs: { f32Output: true },
  })),
  { name: 'heads as rows', inputs: { x: normal([9, 5, 12], 3), w: normal([31, 60], 4) } },
  { name: 'zeros', inputs: { x: constant([6, 40], 0), w: normal([70, 40], 5) } },
]

function derivativeOfInput(call: Call) {
  const { dy, w } = call.inputs
  const x = normal([dy!.shape[0]!, w!.shape[1]!], 77)
  const loss = () => dot(reference.linear({ inputs: { x, w: w! }, attrs: {} }, exact).y!, dy!.values)
  return { variables: { dx: x.values }, loss }
}

function derivativeOfWeight(call: Call) {
  const { dy, x, dw } = call.inputs
  const w = normal(dw!.shape, 78)
  const loss = () => dot(reference.linear({ inputs: { x: x!, w }, attrs: {} }, exact).y!, dy!.values)
  return { variables: { dw: w.values }, loss }
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0)

export const rows: OpRow[] = [
  {
    op: 'linear',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        x: m.normal([s.rows, s.hidden]),
        w: m.normal([2 * s.intermediate, s.hidden], undefined, 0.05),
      }),
      tiles: (s) => productTraffic(s.rows, 2 * s.intermediate, s.hidden),
    },
    cases: linearCases,
    reference: reference.linear,
    rowwise: ['x', 'residual'],
  },
  {
    op: 'linearBackwardInput',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        dy: m.normal([s.rows, 2 * s.intermediate]),
        w: m.normal([2 * s.intermediate, s.hidden], undefined, 0.05),
      }),
      tiles: (s) => productTraffic(s.rows, s.hidden, 2 * s.intermediate),
    },
    cases: cases((t, n, k) => ({ name: '', inputs: inputsOf([['dy', [t, n]], ['w', [n, k]]], t + n) })), // biome-ignore format: one line
    reference: reference.linearBackwardInput,
    gradient: derivativeOfInput,
    rowwise: ['dy'],
  },
  {
    op: 'linearBackwardWeight',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        dy: m.normal([s.rows, 2 * s.intermediate]),
        x: m.normal([s.rows, s.hidden]),
        dw: m.normal([2 * s.intermediate, s.hidden], 'f32'),
      }),
      tiles: (s) => productTraffic(2 * s.intermediate, s.hidden, s.rows, { outSize: 4, accumulate: true }),
    },
    cases: [
      ...cases((t, n, k) => ({
        name: '',
        inputs: { ...inputsOf([['dy', [t, n]], ['x', [t, k]]], t + n), dw: f32(normal([n, k], k)) }, // biome-ignore format: one line
      })),
      {
        name: 'more rows than are summed at once',
        inputs: { dy: normal([4099, 3], 1), x: normal([4099, 2], 2), dw: f32(normal([3, 2], 3)) },
      },
    ],
    reference: reference.linearBackwardWeight,
    sumsInFp32: true,
    gradient: derivativeOfWeight,
  },
  {
    op: 'columnSum',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({ x: m.normal([s.rows, 2 * s.intermediate]), into: m.normal([2 * s.intermediate], 'f32') }),
    },
    cases: [
      ...cases((t, n) => ({
        name: '',
        inputs: { x: normal([t, n], t + n), into: f32(normal([n], n)) },
      })),
      { name: '70 rows of 1,025', inputs: { x: normal([70, 1025], 3), into: f32(normal([1025], 4)) } },
    ],
    reference: reference.columnSum,
  },
  {
    op: 'matmul',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        a: m.normal([s.intermediate, s.intermediate]),
        b: m.normal([s.intermediate, s.intermediate]),
      }),
      tiles: (s) => productTraffic(s.intermediate, s.intermediate, s.intermediate),
    },
    cases: [false, true].flatMap((transA) =>
      [false, true].flatMap((transB) =>
        cases((m, n, k) => ({
          name: `${transA ? 'a transposed ' : ''}${transB ? 'b transposed' : ''}`.trim(),
          inputs: inputsOf(
            [
              ['a', transA ? [k, m] : [m, k]],
              ['b', transB ? [n, k] : [k, n]],
            ],
            m + n + k,
          ),
          attrs: { transA, transB },
        })),
      ),
    ),
    reference: reference.matmul,
  },
  {
    // packed bytes are the device's own; gemm.test.ts compares what they multiply to
    op: 'packWeight',
    bench: { dtypes: floats, inputs: (m, s) => ({ w: m.normal([2 * s.intermediate, s.hidden]) }) },
    cases: cases((_, n, k) => ({ name: '', inputs: { w: normal([n, k], n) }, attrs: { transposed: n % 2 === 0 } })),
    reference: () => ({}),
  },
]
