import { floats, range } from '../bench.js'
import * as reference from '../reference/elementwise.js'
import { constant, integers, normal, type OpRow } from '../row.js'

const shapes = [[59, 97], [1, 1], [1025], [3, 111, 5], [0, 7], [7, 0]]
const moved = [
  [9, 59],
  [1, 1],
  [5, 1025],
  [4, 3, 2],
  [6, 0],
]

export const rows: OpRow[] = [
  {
    op: 'add',
    bench: { dtypes: floats, inputs: (m, s) => ({ a: m.normal([s.rows, s.hidden]), b: m.normal([s.rows, s.hidden]) }) },
    cases: shapes.map((s) => ({ name: `[${s}]`, inputs: { a: normal(s, 1), b: normal(s, 2) } })),
    reference: reference.add,
    rowwise: ['a', 'b'],
  },
  {
    op: 'fill',
    bench: { dtypes: floats, inputs: (m, s) => ({ x: m.uninitialised([s.rows, s.intermediate]) }) },
    cases: [
      ...shapes.map((s) => ({ name: `[${s}]`, inputs: { x: normal(s, 1) }, attrs: { value: 0.375 } })),
      { name: 'whole numbers', inputs: { x: integers([59], 1, 9) }, attrs: { value: -7 } },
    ],
    reference: ({ inputs, attrs }) => ({ x: inputs.x!.values.map(() => attrs.value!) }),
    skip: ['nonFinite'], // the input's values do not matter
  },
  {
    op: 'copy',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({ x: m.normal([s.rows, s.intermediate]), into: m.uninitialised([s.rows, s.intermediate]) }),
    },
    cases: [
      ...shapes.map((s) => ({ name: `[${s}]`, inputs: { x: normal(s, 1), into: constant(s, 0) } })),
      { name: 'whole numbers', inputs: { x: integers([111], 1, 99), into: constant([111], 0, 'i32') } },
      { name: 'bf16 to f32', inputs: { x: constant([9, 33], 0.5, 'bf16'), into: constant([9, 33], 0) } },
    ],
    reference: ({ inputs }) => ({ into: inputs.x!.values }),
    rowwise: ['x', 'into'],
  },
  {
    op: 'gatherRows',
    bench: { dtypes: floats, inputs: (m, s) => ({ x: m.normal([s.rows, s.hidden]), rows: m.random(s.rows, s.rows) }) },
    cases: [
      ...moved.map((s) => ({ name: `[${s}]`, inputs: { x: normal(s, 1), rows: integers([11], 2, s[0]!) } })),
      { name: 'no rows', inputs: { x: normal([3, 4], 1), rows: integers([0], 2, 3) } },
      { name: 'whole numbers', inputs: { x: integers([97], 1, 99), rows: integers([59], 2, 97) } },
    ],
    reference: reference.gatherRows,
  },
  {
    op: 'scatterRows',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        x: m.normal([s.rows, s.hidden]),
        rows: m.integers(range(s.rows)),
        into: m.uninitialised([s.rows, s.hidden]),
      }),
    },
    cases: [
      ...moved.map((s) => ({
        name: `[${s}]`,
        inputs: { x: normal([11, ...s.slice(1)], 1), rows: integers([11], 2, s[0]!), into: normal(s, 3) },
      })),
      { name: 'no rows', inputs: { x: normal([0, 4], 1), rows: integers([0], 2, 3), into: normal([3, 4], 2) } },
    ],
    reference: reference.scatterRows,
  },
]
