import { ropeTable } from '../../tensor/ops.generated.js'
import { floats, range } from '../bench.js'
import * as reference from '../reference/rope.js'
import { type Input, integers, normal, type OpCase, type OpRow } from '../row.js'

function frequencies(half: number, theta: number): Input {
  const f = Float64Array.from({ length: half }, (_, j) => theta ** (-j / half))
  const high = f.map(Math.fround)
  return { shape: [2, half], values: Float64Array.of(...high, ...f.map((x, j) => Math.fround(x - high[j]!))) }
}

function rotation(name: string, shape: [number, number, number], { positions = 64, inverse = false } = {}): OpCase {
  const [rows, , width] = shape
  const inverseFrequencies = frequencies(width / 2, 10000)
  const { table } = reference.ropeTable({ inputs: { inverseFrequencies }, attrs: { positions } })
  return {
    name,
    inputs: {
      x: normal(shape, rows + width),
      positions: integers([rows], rows, positions),
      table: { shape: [positions, width], values: table!.map(Math.fround), dtype: 'f32' },
    },
    attrs: { inverse },
  }
}

export const rows: OpRow[] = [
  {
    op: 'ropeTable',
    bench: {
      dtypes: ['f32'],
      inputs: (m, s) => ({ inverseFrequencies: m.normal([2, s.headDim / 2], 'f32') }),
      attrs: () => ({ positions: 4096 }),
    },
    cases: [
      { name: '59 positions', inputs: { inverseFrequencies: frequencies(32, 10000) }, attrs: { positions: 59 } },
      { name: 'one pair', inputs: { inverseFrequencies: frequencies(1, 10000) }, attrs: { positions: 1025 } },
      { name: 'no positions', inputs: { inverseFrequencies: frequencies(6, 1e6) }, attrs: { positions: 0 } },
      { name: 'far positions', inputs: { inverseFrequencies: frequencies(2, 5e5) }, attrs: { positions: 131072 } },
    ],
    reference: reference.ropeTable,
    tolerance: 1e-7, // half a bit of f32: positions up to 131072 lose nothing
  },
  {
    op: 'rope',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        x: m.normal([s.rows, s.heads + s.kvHeads, s.headDim]),
        positions: m.integers(range(s.rows)),
        table: ropeTable(m.normal([2, s.headDim / 2], 'f32', 0.1), { positions: s.rows }),
      }),
    },
    cases: [
      rotation('59 rows of 3 heads', [59, 3, 64]),
      rotation('backwards', [97, 1, 128], { inverse: true }),
      rotation('head of 80', [11, 2, 80]),
      rotation('head of 12', [7, 3, 12]),
      rotation('head of 2', [1, 1, 2]),
      rotation('many heads', [3, 111, 4]),
      rotation('no rows', [0, 2, 32]),
      rotation('no heads', [4, 0, 32]),
    ],
    reference: reference.rope,
    rowwise: ['x', 'positions'],
  },
]
