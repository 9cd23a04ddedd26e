import { type Maker, type OpShapes, range } from '../bench.js'
import * as reference from '../reference/grpo-loss.js'
import { type Input, normal, type OpCase, type OpRow, random, type Values } from '../row.js'

const [clip, cispo, sapo, vespo] = [0, 1, 2, 3]
const f32 = (input: Input): Input => ({ ...input, dtype: 'f32' })

interface Parts {
  /** Inputs beside logprob, offsets and advantage. */
  given?: ('old' | 'reference' | 'mask' | 'weight')[]
  attrs?: Record<string, number | boolean>
}

const everything = ['old', 'reference', 'mask', 'weight'] as const

/** Completions of the given lengths; log ratios spread by 0.35 around 0, a fifth of the tokens masked. */
function lossCase(name: string, lengths: readonly number[], { given = [...everything], attrs }: Parts = {}): OpCase {
  const offsets = [0]
  for (const length of lengths) offsets.push(offsets.at(-1)! + length)
  const tokens = offsets.at(-1)!
  const seed = tokens + lengths.length
  const vector = (values: Values): Input => ({ shape: [tokens], values, dtype: 'f32' })
  const logprob = normal([tokens], seed).values.map((x) => Math.fround(-Math.abs(x) - 0.01))
  const near = (k: number, spread: number) =>
    vector(normal([tokens], seed + k, spread).values.map((x, t) => Math.fround(logprob[t]! + x)))
  const next = random(seed + 5)
  const all: Record<(typeof everything)[number], Input> = {
    old: near(1, 0.35),
    reference: near(2, 0.5),
    mask: { shape: [tokens], values: Float64Array.from({ length: tokens }, () => +(next() > 0.2)), dtype: 'u8' },
    weight: vector(Float64Array.from({ length: tokens }, () => Math.fround(0.5 + next()))),
  }
  const inputs: Record<string, Input> = {
    logprob: vector(logprob),
    offsets: { shape: [offsets.length], values: Float64Array.from(offsets), dtype: 'i32' },
    advantage: f32(normal([lengths.length], seed + 3)),
  }
  for (const part of given) inputs[part] = all[part]
  return { name, inputs, attrs: { tokenWeight: 1, ...attrs } }
}

const odd = [7, 0, 1, 59, 3, 97, 2, 0, 1, 33]
const kl = { beta: 0.3 }
const sequenceLevel = true

/** Every surrogate with the average that its loss types take, at both levels. */
const surrogates = ([false, true] as const).flatMap((sequence) => {
  const at = sequence ? 'sequence' : 'token'
  const attrs = { ...kl, sequenceLevel: sequence, tokenWeight: 0.25 }
  return [
    lossCase(`clip, mean of tokens, ${at} level`, odd, { attrs: { ...attrs, surrogate: clip, epsilonHigh: 0.28 } }),
    lossCase(`clip, mean of completions, ${at} level`, odd, { attrs: { ...attrs, completionMean: true, delta: 1.45 } }),
    lossCase(`cispo, ${at} level`, odd, { attrs: { ...attrs, surrogate: cispo, epsilonHigh: 1.2 } }),
    lossCase(`sapo, ${at} level`, odd, { attrs: { ...attrs, surrogate: sapo, completionMean: true } }),
    lossCase(`vespo, ${at} level`, odd, { attrs: { ...attrs, surrogate: vespo, vespoKPos: 1.5 } }),
  ]
})

/** An answer of `context` tokens from each sequence, its old and reference log-probs. */
function updateOf(m: Maker, s: OpShapes) {
  const tokens = s.sequences * s.context
  const logprob = () => m.normal([tokens], 'f32', 0.1)
  return {
    logprob: logprob(),
    offsets: m.integers(range(s.sequences + 1).map((i) => i * s.context)),
    advantage: m.normal([s.sequences], 'f32'),
    old: logprob(),
    reference: logprob(),
  }
}

export const rows: OpRow[] = [
  {
    op: 'grpoLoss',
    bench: {
      dtypes: ['f32'],
      inputs: updateOf,
      attrs: (s) => ({ tokenWeight: 1 / (s.sequences * s.context), beta: 0.01 }),
    },
    cases: [
      ...surrogates,
      lossCase('no reference, plain KL is off', odd, { given: ['old', 'mask', 'weight'] }),
      lossCase('KL without the ratio', odd, { attrs: { ...kl, useBiasCorrectionKl: false, sequenceLevel } }),
      lossCase('on-policy: nothing but log-probs', odd, { given: [] }),
      lossCase('on-policy, vespo with weights', odd, { given: ['weight'], attrs: { surrogate: vespo } }),
      lossCase('one token', [1], { attrs: { ...kl, sequenceLevel } }),
      lossCase('59 tokens', [59], { attrs: { completionMean: true } }),
      lossCase('1025 tokens', [1025], { attrs: { ...kl, sequenceLevel, tokenWeight: 1 / 1025 } }),
      // beyond what a block of the GPU keeps in registers
      lossCase('111 and 5003 tokens', [111, 5003], { attrs: { ...kl, sequenceLevel, tokenWeight: 1 / 64 } }),
      lossCase('2049 tokens, token level', [2049], { attrs: { ...kl, completionMean: true } }),
      lossCase('111 completions', new Array<number>(111).fill(5), { attrs: { surrogate: sapo, completionMean: true } }),
      lossCase('completions without tokens', [0, 0, 0], { attrs: { ...kl, sequenceLevel, surrogate: vespo } }),
      lossCase('nothing', []),
    ],
    reference: reference.grpoLoss,
    gradient: reference.derivative,
    tolerance: 1e-6,
  },
]
