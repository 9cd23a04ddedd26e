import { tensor } from '../../tensor/tensor.js'
import { floats, type Maker } from '../bench.js'
import { roundBFloat16 } from '../harness.js'
import * as reference from '../reference/optimizer.js'
import { type Call, constant, type Input, normal, type OpCase, type OpRow, type Values } from '../row.js'

const scalar = (value: number): Input => constant([1], value, 'f32')

const squares = (name: string, shape: number[], attrs = {}): OpCase => ({
  name,
  inputs: { x: normal(shape, shape[0]! + 1), into: scalar(3) },
  attrs,
})

const clip = (name: string, sum: number, maxNorm: number): OpCase => ({
  name,
  inputs: { sumSquares: scalar(sum) },
  attrs: { maxNorm },
})

interface AdamParts {
  gradScale?: number
  compute?: boolean
  attrs?: Record<string, number>
}

function adam(name: string, shape: number[], { gradScale, compute, attrs }: AdamParts = {}): OpCase {
  const [param, m, v, grad] = [1, 2, 3, 4].map((k) => normal(shape, shape[0]! * 5 + k)) as [Input, Input, Input, Input]
  const inputs: Record<string, Input> = { param, m, v: { ...v, values: v.values.map((x) => Math.fround(x * x)) }, grad }
  if (gradScale !== undefined) inputs.gradScale = scalar(gradScale)
  if (compute) inputs.compute = { ...constant(shape, 0), dtype: 'bf16' }
  return { name, inputs, attrs: { lr: 0.01, step: 3, ...attrs } }
}

/** The bf16 copy is the new weights rounded; a weight near a tie may round the other way than the reference's. */
function copyIsRounded({ inputs }: Call, outputs: Record<string, Values>): string | null {
  if (!inputs.compute || outputs.param!.every(Number.isNaN)) return null
  const i = outputs.compute!.findIndex((x, k) => !Object.is(x, roundBFloat16(outputs.param![k]!)))
  return i < 0 || Number.isNaN(inputs.gradScale?.values[0]) ? null : `compute[${i}] is not the rounded weight`
}

/** Weights with their moments and gradient, and the bf16 copy that is written with them. */
const adamState = (make: Maker, n: number) => ({
  param: make.normal([n], 'f32'),
  m: make.normal([n], 'f32', 1e-3),
  v: tensor(new Float32Array(n).fill(1e-6), [n], { device: make.device }),
  grad: make.normal([n], 'f32'),
  compute: make.uninitialised([n], 'bf16'),
})

export const rows: OpRow[] = [
  {
    op: 'sumSquares',
    bench: {
      dtypes: ['f32'],
      inputs: (m, s) => ({ x: m.normal([s.parameters], 'f32'), into: m.normal([1], 'f32') }),
    },
    cases: [
      squares('59 by 97', [59, 97]),
      squares('one element', [1]),
      squares('1025 onto what is there', [1025], { accumulate: true }),
      squares('several pieces', [3, 11111]),
      squares('nothing', [0], { accumulate: true }),
      squares('nothing over what is there', [0]),
    ],
    reference: reference.sumSquares,
    tolerance: 1e-7,
  },
  {
    op: 'clipScale',
    bench: { dtypes: ['f32'], inputs: (m) => ({ sumSquares: m.normal([1], 'f32') }), attrs: () => ({ maxNorm: 1 }) },
    cases: [
      clip('clips', 25, 1),
      clip('leaves alone', 0.25, 1),
      clip('zero', 0, 1),
      clip('no limit', 100, Number.POSITIVE_INFINITY),
    ],
    reference: reference.clipScale,
  },
  {
    op: 'scale',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({ x: m.normal([s.rows, s.intermediate]), by: tensor([1], [1], { device: m.device }) }),
    },
    cases: [
      { name: '59 by 97', inputs: { x: normal([59, 97], 4), by: scalar(0.37) } },
      { name: 'nothing', inputs: { x: normal([0, 5], 4), by: scalar(2) } },
      { name: '1025', inputs: { x: normal([1025], 4), by: scalar(-3) } },
    ],
    reference: ({ inputs }, round) => ({ x: reference.scale({ inputs, attrs: {} }).x!.map(round) }),
  },
  {
    op: 'adamw',
    bench: {
      dtypes: ['bf16'],
      inputs: (m, s) => adamState(m, s.parameters),
      attrs: () => ({ lr: 1e-6, step: 10 }),
    },
    cases: [
      adam('59 weights', [59], { gradScale: 0.3 }),
      adam('first step', [1], { attrs: { step: 1 } }),
      adam('1025 weights with a copy', [1025], { compute: true, gradScale: 1 }),
      adam('a matrix, decay', [97, 111], { attrs: { weightDecay: 0.1, beta1: 0.8, beta2: 0.95, eps: 1e-6 } }),
      adam('late step', [111], { attrs: { step: 100000, lr: 1e-6, weightDecay: 0.01 } }),
      adam('no weights', [0], { gradScale: 0.3 }),
      adam('a gradient that is not finite changes nothing', [33], { gradScale: Number.NaN, compute: true }),
    ],
    reference: (call) => {
      const { compute: _, ...rest } = reference.adamw(call, (x) => x)
      return rest
    },
    check: copyIsRounded,
  },
]
