import { makeRopeTable, type RopeConfig } from '../../lib/nn/rope.js'
import {
  adamw,
  clipScale,
  embedding,
  embeddingBackward,
  rmsNorm,
  rmsNormBackward,
  rope,
  scale,
  sumSquares,
  swiglu,
  swigluBackward,
} from '../../lib/tensor/ops.generated.js'
import { empty, type Tensor } from '../../lib/tensor/tensor.js'
import type { Computed, KernelCase, KernelCheck } from './kernel-case.js'

function rmsNormCase(c: KernelCase): Computed {
  const [x, w, residual] = [c.tensor('in.x'), c.tensor('in.w'), c.optional('in.residual')]
  const { y, rstd, sum } = rmsNorm(x, w, { residual, eps: c.number('eps') })
  const dw = c.zeros(w.shape)
  const dx = rmsNormBackward(c.tensor('dout.y'), residual ? sum : x, w, rstd, { dw, dSum: c.optional('dout.sum') })
  return { 'out.y': y, 'grad.x': dx, 'grad.w': dw, ...(residual && { 'out.sum': sum, 'grad.residual': dx }) }
}

interface Llama3Attrs {
  factor: number
  low_freq_factor: number
  high_freq_factor: number
  original_max_position_embeddings: number
}

function ropeCase(c: KernelCase): Computed {
  const [x, dy, positions] = [c.tensor('in.x'), c.tensor('dout.y'), c.tensor('in.positions')]
  const s = c.attrs.scaling as Llama3Attrs | null
  const config: RopeConfig = {
    headDim: x.shape[2]!,
    ropeTheta: c.number('theta'),
    ropeScaling: s && {
      type: 'llama3',
      factor: s.factor,
      lowFreqFactor: s.low_freq_factor,
      highFreqFactor: s.high_freq_factor,
      originalMaxPositionEmbeddings: s.original_max_position_embeddings,
    },
  }
  const table = makeRopeTable(config, Math.max(...c.array('in.positions'), 0) + 1, c.device)
  rope(x, positions, table)
  rope(dy, positions, table, { inverse: true })
  return { 'out.y': x, 'grad.x': dy }
}

function swigluCase(c: KernelCase): Computed {
  const [gate, up] = [c.tensor('in.gate'), c.tensor('in.up')]
  const { dGate, dUp } = swigluBackward(c.tensor('dout.y'), gate, up)
  return { 'out.y': swiglu(gate, up), 'grad.gate': dGate, 'grad.up': dUp }
}

function embeddingCase(c: KernelCase): Computed {
  const [w, ids] = [c.tensor('in.W'), c.tensor('in.ids')]
  const dw = c.zeros(w.shape)
  embeddingBackward(c.tensor('dout.y'), ids, dw)
  return { 'out.y': embedding(w, ids), 'grad.W': dw }
}

function adamwCase(c: KernelCase): Computed {
  const [p, m, v] = [c.tensor('in.p'), c.tensor('in.m'), c.tensor('in.v')]
  const [lr, beta1, beta2, eps] = [c.number('lr'), c.number('beta1'), c.number('beta2'), c.number('eps')]
  const settings = { lr, beta1, beta2, eps, weightDecay: c.number('weightDecay'), step: c.number('step') }
  adamw(p, m, v, c.tensor('in.g'), settings)
  return { 'out.p': p, 'out.m': m, 'out.v': v }
}

function clipCase(c: KernelCase): Computed {
  const gradients = c.names('in.').map((name): [string, Tensor] => [name.replace('in.', 'out.'), c.tensor(name)])
  const total = empty([1], { device: c.device })
  gradients.forEach(([, g], i) => {
    sumSquares(g, total, { accumulate: i > 0 })
  })
  const { norm, scale: by } = clipScale(total, { maxNorm: c.number('maxNorm') })
  for (const [, g] of gradients) scale(g, by)
  return { ...Object.fromEntries(gradients), 'out.norm': norm }
}

export const ops: Record<string, KernelCheck> = {
  rms_norm: rmsNormCase,
  rope: ropeCase,
  swiglu: swigluCase,
  embedding: embeddingCase,
  adamw: adamwCase,
  clip_grad_norm: clipCase,
}
