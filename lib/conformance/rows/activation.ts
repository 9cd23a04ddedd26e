import { floats } from '../bench.js'
import * as reference from '../reference/activation.js'
import { type Call, constant, normal, type OpCase, type OpRow } from '../row.js'

const shapes: [string, number[]][] = [
  ['59 by 97', [59, 97]],
  ['one element', [1, 1]],
  ['111 columns', [2, 111]],
  ['1025 columns', [5, 1025]],
  ['more than a piece', [3, 6000]],
  ['no rows', [0, 16]],
  ['no columns', [4, 0]],
]

const forward = (name: string, shape: number[], scale = 2): OpCase => ({
  name,
  inputs: { gate: normal(shape, shape[0]! + 3, scale), up: normal(shape, shape[0]! + 4) },
})

const backward = (name: string, shape: number[], scale = 2): OpCase => ({
  name,
  inputs: { dy: normal(shape, shape[0]! + 5), ...forward(name, shape, scale).inputs },
})

function derivative(call: Call) {
  const { dy, gate, up } = call.inputs
  const loss = () => reference.swiglu(call, (x) => x).y!.reduce((sum, y, i) => sum + y * dy!.values[i]!, 0)
  return { variables: { dGate: gate!.values, dUp: up!.values }, loss }
}

const saturated: OpCase = {
  name: 'gates at which exp overflows or vanishes',
  inputs: {
    gate: { shape: [1, 8], values: Float64Array.of(-1000, -100, -88, -87, 87, 88, 100, 1000) },
    up: constant([1, 8], 1),
  },
}

export const rows: OpRow[] = [
  {
    op: 'swiglu',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({ gate: m.normal([s.rows, s.intermediate]), up: m.normal([s.rows, s.intermediate]) }),
    },
    cases: [...shapes.map(([name, shape]) => forward(name, shape)), forward('wide gates', [7, 96], 30), saturated],
    reference: reference.swiglu,
    rowwise: ['gate', 'up'],
  },
  {
    op: 'swigluBackward',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        dy: m.normal([s.rows, s.intermediate]),
        gate: m.normal([s.rows, s.intermediate]),
        up: m.normal([s.rows, s.intermediate]),
      }),
    },
    cases: [...shapes.map(([name, shape]) => backward(name, shape)), backward('wide gates', [7, 96], 30)],
    reference: reference.swigluBackward,
    gradient: derivative,
    rowwise: ['dy', 'gate', 'up'],
  },
]
