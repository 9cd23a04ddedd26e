import {
  linearBackwardInput,
  linearBackwardWeight,
  linearLogprob,
  linearLogprobBackward,
  matmul,
  packWeight,
  sample,
} from '../../lib/tensor/ops.generated.js'
import { tensor } from '../../lib/tensor/tensor.js'
import type { Computed, KernelCase, KernelCheck, Verdict } from './kernel-case.js'

function linearLogprobCase(c: KernelCase): Computed {
  const [h, w, targets] = [c.tensor('in.h'), c.tensor('in.W'), c.tensor('in.targets')]
  const temperature = c.number('temperature')
  const packed = packWeight(w)
  const { logprob, lse, entropy } = linearLogprob(h, packed, targets, { temperature })
  const dw = c.zeros(w.shape)
  const dh = linearLogprobBackward(h, packed, targets, lse, entropy, c.tensor('dout.logprob'), {
    dEntropy: c.tensor('dout.entropy'),
    wTransposed: packWeight(w, { transposed: true }),
    dw,
    temperature,
  })
  return { 'out.logprob': logprob, 'out.lse': lse, 'out.entropy': entropy, 'grad.h': dh, 'grad.W': dw }
}

/** Gradients by the ops that a linear layer uses where b is a weight [N, K], else by products. */
function matmulCase(c: KernelCase): Computed {
  const [a, b, dc] = [c.tensor('in.a'), c.tensor('in.b'), c.tensor('dout.c')]
  const [transA, transB] = [c.attrs.transA === true, c.attrs.transB === true]
  const out = matmul(a, b, { transA, transB })
  if (!transA && transB) {
    const db = c.zeros(b.shape)
    linearBackwardWeight(dc, a, db)
    const da = linearBackwardInput(dc, packWeight(b, { transposed: true }))
    return { 'out.c': out, 'grad.a': da, 'grad.b': db }
  }
  const da = transA ? matmul(b, dc, { transA: transB, transB: true }) : matmul(dc, b, { transB: !transB })
  const db = transB ? matmul(dc, a, { transA: true, transB: transA }) : matmul(a, dc, { transA: !transA })
  return { 'out.c': out, 'grad.a': da, 'grad.b': db }
}

const draws = 20_000

/** 20,000 draws of one seed, a position each, against the distribution; and the greedy token. */
async function sampleCase(c: KernelCase): Promise<Verdict> {
  const [logits, probs, best] = [c.array('in.logits'), c.array('out.probs'), c.array('out.argmax')]
  const size = logits.length
  const rows = new Float32Array(draws * size)
  for (let i = 0; i < draws; i++) rows.set(logits, i * size)
  const keys = new Int32Array(draws * 4).map((_, i) => [1234, 0, 5, 6][i % 4]!)
  const positions = new Int32Array(draws).map((_, i) => i)
  const put = (data: Float32Array | Int32Array, shape: number[]) => tensor(data, shape, { device: c.device })
  const settings = {
    temperature: c.number('temperature'),
    topK: c.number('topK'),
    topP: c.number('topP'),
    minP: c.number('minP'),
  }
  const { token } = sample(put(rows, [draws, size]), put(keys, [draws, 4]), put(positions, [draws]), settings)
  const counts = new Float64Array(size)
  for (const t of await token.toArray()) counts[t]!++

  const failures: string[] = []
  const support = probs.filter((p) => p > 0).length
  const outside = counts.findIndex((n, i) => n > 0 && !(probs[i]! > 0))
  if (outside >= 0) failures.push(`token ${outside} is outside the support and was drawn ${counts[outside]} times`)
  let distance = 0
  probs.forEach((p, i) => {
    distance += Math.abs(counts[i]! / draws - p) / 2
  })
  const limit = 0.01 + 0.6 * Math.sqrt(support / draws)
  if (!(distance <= limit)) failures.push(`total variation ${distance} is over ${limit}`)
  const one = [put(logits, [1, size]), put(keys.subarray(0, 4), [1, 4]), put(positions.subarray(0, 1), [1])] as const
  const greedy = (await sample(...one, { ...settings, temperature: 0 }).token.toArray())[0]
  if (greedy !== best[0]) failures.push(`greedy token ${greedy}, expected ${best[0]}`)
  // a distance is not an error of a value: cases report how far they are from failing
  return { error: 0, failures }
}

export const ops: Record<string, KernelCheck> = {
  linear_logprob: linearLogprobCase,
  matmul: matmulCase,
  sample: sampleCase,
}
