import { floats } from '../bench.js'
import * as reference from '../reference/norm.js'
import { type Call, constant, type Input, normal, type OpCase, type OpRow } from '../row.js'

const exact = (x: number) => x

function forward(name: string, shape: number[], { residual = false, eps = 1e-6, scale = 1 } = {}): OpCase {
  const seed = shape.reduce((a, b) => a * 31 + b, 1)
  const inputs: Record<string, Input> = { x: normal(shape, seed, scale), w: normal([shape.at(-1)!], seed + 1) }
  if (residual) inputs.residual = normal(shape, seed + 2, scale)
  return { name, inputs, attrs: { eps } }
}

const shapes: [string, number[]][] = [
  ['one element', [1, 1]],
  ['a row of 59', [1, 59]],
  ['97 rows of 111', [97, 111]],
  ['heads', [13, 5, 64]],
  ['1025 columns', [3, 1025]],
  ['model width', [33, 576]],
  ['no rows', [0, 64]],
  ['no heads', [3, 0, 64]],
]

const forwardCases: OpCase[] = [
  ...shapes.map(([name, shape]) => forward(name, shape)),
  ...shapes.map(([name, shape]) => forward(`${name}, residual`, shape, { residual: true, eps: 1e-5 })),
  forward('small values under a large eps', [7, 96], { scale: 1e-3, eps: 1e-2 }),
  forward('large values', [7, 96], { scale: 1e4 }),
  {
    name: 'zeros',
    inputs: { x: constant([5, 40], 0), w: constant([40], 1) },
    attrs: { eps: 1e-6 },
  },
]

function backward(name: string, shape: number[], parts: { dw?: boolean; dSum?: boolean; w?: 'f32' } = {}): OpCase {
  const seed = shape.reduce((a, b) => a * 37 + b, 5)
  const [s, w] = [normal(shape, seed), normal([shape.at(-1)!], seed + 1)]
  const { rstd } = reference.rmsNorm({ inputs: { x: s, w }, attrs: { eps: 1e-6 } }, exact)
  const inputs: Record<string, Input> = {
    dy: normal(shape, seed + 2),
    s,
    w: parts.w ? { ...w, dtype: parts.w } : w,
    rstd: { shape: [rstd!.length], values: rstd!.map(Math.fround), dtype: 'f32' },
  }
  if (parts.dw) inputs.dw = { ...normal([shape.at(-1)!], seed + 3), dtype: 'f32' }
  if (parts.dSum) inputs.dSum = normal(shape, seed + 4)
  return { name, inputs }
}

const backwardCases: OpCase[] = [
  ...shapes.map(([name, shape]) => backward(name, shape, { dw: true, dSum: true })),
  backward('several blocks of rows', [150, 59], { dw: true }),
  backward('frozen weight', [9, 97], { dSum: true }),
  backward('fp32 weight', [9, 97], { dw: true, w: 'f32' }),
]

/** d of sum(y dy) + sum(s dSum): rstd is a function of s, so the forward runs again. */
function derivative(call: Call) {
  const { dy, s, w, dSum, dw } = call.inputs
  const eps = 0 // the cases' rstd has eps 1e-6; s of size one moves it by less than the check sees
  const loss = () => {
    const { y } = reference.rmsNorm({ inputs: { x: s!, w: w! }, attrs: { eps } }, exact)
    let sum = 0
    for (let i = 0; i < y!.length; i++) sum += y![i]! * dy!.values[i]! + (dSum ? s!.values[i]! * dSum.values[i]! : 0)
    return sum
  }
  return { variables: { dx: s!.values, ...(dw && { dw: w!.values }) }, loss }
}

export const rows: OpRow[] = [
  {
    op: 'rmsNorm',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        x: m.normal([s.rows, s.hidden]),
        w: m.normal([s.hidden]),
        residual: m.normal([s.rows, s.hidden]),
      }),
    },
    cases: forwardCases,
    reference: reference.rmsNorm,
    rowwise: ['x', 'residual'],
  },
  {
    op: 'rmsNormBackward',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        dy: m.normal([s.rows, s.hidden]),
        s: m.normal([s.rows, s.hidden]),
        w: m.normal([s.hidden]),
        rstd: m.normal([s.rows], 'f32'),
        dw: m.normal([s.hidden], 'f32'),
        dSum: m.normal([s.rows, s.hidden]),
      }),
    },
    cases: backwardCases,
    reference: reference.rmsNormBackward,
    gradient: derivative,
  },
]
