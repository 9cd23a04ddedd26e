import { tensor } from '../../tensor/tensor.js'
import { floats, type Maker, type OpShapes } from '../bench.js'
import * as reference from '../reference/linear-logprob.js'
import { type Call, type Input, integers, normal, type OpCase, type OpRow } from '../row.js'

/** [rows, vocabulary, width, temperature]: around panels of 64, blocks of 512 and tiles of 48 rows. */
const sizes: [number, number, number, number][] = [
  [1, 1, 1, 1],
  [1, 11, 8, 1],
  [7, 499, 72, 1],
  [59, 513, 33, 0.7],
  [97, 111, 59, 1.3],
  [3, 1025, 16, 0],
  [49, 1536, 12, 2],
  [0, 11, 8, 1],
]

interface Parts {
  dw?: boolean
  dEntropy?: boolean
  zeroEvery?: number
}

const f32 = (input: Input): Input => ({ ...input, dtype: 'f32' })

function forward([t, v, d, temperature]: (typeof sizes)[number]): OpCase {
  const inputs = { h: normal([t, d], t + d), w: normal([v, d], v, 1 / Math.sqrt(d)), targets: integers([t], t, v) }
  return { name: `${t} rows, ${v} tokens, width ${d}, temperature ${temperature}`, inputs, attrs: { temperature } }
}

function backward(size: (typeof sizes)[number], { dw, dEntropy, zeroEvery }: Parts): OpCase {
  const c = forward(size)
  const [t, v, d, temperature] = size
  const call: Call = { inputs: c.inputs, attrs: { temperature } }
  const { lse, entropy } = reference.linearLogprob(call, (x) => x)
  const column = (values: Float64Array): Input => ({ shape: [t], values: values.map(Math.fround), dtype: 'f32' })
  const dLogprob = f32(normal([t], t + 1))
  const ofEntropy = f32(normal([t], t + 2))
  if (zeroEvery) {
    for (let r = 0; r < t; r += zeroEvery) {
      dLogprob.values[r] = 0
      ofEntropy.values[r] = 0
    }
  }
  const inputs: Record<string, Input> = { ...c.inputs, lse: column(lse!), entropy: column(entropy!), dLogprob }
  if (dEntropy) inputs.dEntropy = ofEntropy
  if (dw) inputs.dw = f32(normal([v, d], 9))
  const parts = [dw && 'dw', dEntropy && 'dEntropy', zeroEvery && 'rows left out'].filter(Boolean).join(', ')
  return { ...c, name: `${c.name}, ${parts}`, inputs }
}

function derivative(call: Call) {
  const { h, w, dw } = call.inputs
  const variables = { dh: h!.values, ...(dw && { dw: w!.values }) }
  return { variables, loss: () => reference.upstreamLoss(call) }
}

const headOf = (m: Maker, s: OpShapes) => ({
  h: m.normal([s.scored, s.hidden]),
  w: m.normal([s.vocab, s.hidden], undefined, 0.05),
  targets: m.random(s.scored, s.vocab),
})

export const rows: OpRow[] = [
  {
    op: 'linearLogprob',
    bench: { dtypes: floats, inputs: (m, s) => headOf(m, s) },
    cases: sizes.map(forward),
    reference: reference.linearLogprob,
    rowwise: ['h', 'targets'],
  },
  {
    op: 'linearLogprobBackward',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        ...headOf(m, s),
        lse: tensor(new Float32Array(s.scored).fill(11.5), [s.scored], { device: m.device }),
        entropy: m.normal([s.scored], 'f32'),
        dLogprob: m.normal([s.scored], 'f32'),
        dw: m.normal([s.vocab, s.hidden], 'f32'),
      }),
    },
    cases: [
      ...sizes.map((size) => backward(size, { dw: true, dEntropy: true })),
      ...sizes.map((size) => backward(size, { dw: true, zeroEvery: 3 })),
      backward([30, 499, 72, 0.9], { dEntropy: true }),
      backward([30, 499, 72, 0.9], { dw: true, dEntropy: true, zeroEvery: 1 }),
    ],
    reference: reference.linearLogprobBackward,
    gradient: derivative,
    rowwise: ['h', 'targets', 'lse', 'entropy', 'dLogprob', 'dEntropy'],
    tolerance: 1e-4,
    // the cases' lse belongs to finite rows: with another h, e^(z - lse) leaves fp32's range before float64's
    skip: ['nonFinite'],
  },
]
