import type { Device } from '../../tensor/device.js'
import { ropeTable } from '../../tensor/ops.generated.js'
import { type DType, empty, type Tensor, tensor } from '../../tensor/tensor.js'

/** Sizes that decide the shapes of a decoder's ops. */
export interface OpShapes {
  /** Rows of a training or prefill batch: one prompt of 600 tokens and eight answers of 96. */
  rows: number
  /** Sequences in a decode step, and the tokens that each has seen. */
  sequences: number
  context: number
  hidden: number
  heads: number
  kvHeads: number
  headDim: number
  intermediate: number
  vocab: number
}

/** SmolLM2-135M under the workload of docs/performance.md. */
export const smollm2Shapes: OpShapes = {
  rows: 1368,
  sequences: 64,
  context: 320,
  hidden: 576,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  intermediate: 1536,
  vocab: 49152,
}

export interface OpBenchCase {
  op: string
  /** Dtypes that make a difference. */
  dtypes: ('f32' | 'bf16')[]
  /** Fresh inputs by the names of the op table. */
  inputs(make: Maker): Record<string, Tensor>
  attrs?: Record<string, number | boolean>
  /** Floating-point operations where they depend on what the inputs hold: the op table then knows none. */
  flops?: number
}

/** Makes inputs; floats without a dtype get the one under test. */
export class Maker {
  #state = 1

  constructor(
    readonly device: Device,
    readonly dtype: 'f32' | 'bf16',
  ) {}

  #next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return this.#state / 2 ** 32
  }

  /** About normal numbers. */
  normal(shape: number[], dtype: DType = this.dtype, scale = 1): Tensor {
    const n = shape.reduce((a, b) => a * b, 1)
    // one short sequence, repeated: making millions of numbers in JavaScript would take longer than the measurement
    const pattern = Float32Array.from({ length: Math.min(n, 65537) }, () => {
      const u = this.#next() + this.#next() + this.#next() - 1.5
      return 2 * u * scale
    })
    const values = new Float32Array(n)
    for (let i = 0; i < n; i += pattern.length) values.set(pattern.subarray(0, Math.min(pattern.length, n - i)), i)
    return tensor(values, shape, { device: this.device, dtype })
  }

  integers(values: ArrayLike<number>, shape: number[] = [values.length]): Tensor {
    return tensor(Int32Array.from(values), shape, { device: this.device })
  }

  random(n: number, limit: number): Tensor {
    return this.integers(Array.from({ length: n }, () => Math.floor(this.#next() * limit)))
  }

  uninitialised(shape: number[], dtype: DType = this.dtype): Tensor {
    return empty(shape, { device: this.device, dtype })
  }
}

const both: OpBenchCase['dtypes'] = ['f32', 'bf16']
const range = (n: number) => Array.from({ length: n }, (_, i) => i)

function pointwiseCases(s: OpShapes): OpBenchCase[] {
  const stream = [s.rows, s.hidden]
  const wide = [s.rows, s.intermediate]
  const weights = [s.hidden * s.intermediate]
  return [
    { op: 'add', dtypes: both, inputs: (m) => ({ a: m.normal(stream), b: m.normal(stream) }) },
    { op: 'fill', dtypes: both, inputs: (m) => ({ x: m.uninitialised(wide) }) },
    { op: 'copy', dtypes: both, inputs: (m) => ({ x: m.normal(wide), into: m.uninitialised(wide) }) },
    { op: 'gatherRows', dtypes: both, inputs: (m) => ({ x: m.normal(stream), rows: m.random(s.rows, s.rows) }) },
    {
      op: 'scatterRows',
      dtypes: both,
      inputs: (m) => ({ x: m.normal(stream), rows: m.integers(range(s.rows)), into: m.uninitialised(stream) }),
    },
    {
      op: 'rmsNorm',
      dtypes: both,
      inputs: (m) => ({ x: m.normal(stream), w: m.normal([s.hidden]), residual: m.normal(stream) }),
    },
    {
      op: 'rmsNormBackward',
      dtypes: both,
      inputs: (m) => ({
        dy: m.normal(stream),
        s: m.normal(stream),
        w: m.normal([s.hidden]),
        rstd: m.normal([s.rows], 'f32'),
        dw: m.normal([s.hidden], 'f32'),
        dSum: m.normal(stream),
      }),
    },
    { op: 'swiglu', dtypes: both, inputs: (m) => ({ gate: m.normal(wide), up: m.normal(wide) }) },
    {
      op: 'swigluBackward',
      dtypes: both,
      inputs: (m) => ({ dy: m.normal(wide), gate: m.normal(wide), up: m.normal(wide) }),
    },
    {
      op: 'ropeTable',
      dtypes: ['f32'],
      inputs: (m) => ({ inverseFrequencies: m.normal([2, s.headDim / 2], 'f32') }),
      attrs: { positions: 4096 },
    },
    {
      op: 'rope',
      dtypes: both,
      inputs: (m) => ({
        x: m.normal([s.rows, s.heads + s.kvHeads, s.headDim]),
        positions: m.integers(range(s.rows)),
        table: ropeTable(m.normal([2, s.headDim / 2], 'f32', 0.1), { positions: s.rows }),
      }),
    },
    {
      op: 'embedding',
      dtypes: both,
      inputs: (m) => ({ w: m.normal([s.vocab, s.hidden]), ids: m.random(s.rows, s.vocab) }),
    },
    {
      op: 'embeddingBackward',
      dtypes: both,
      inputs: (m) => ({
        dy: m.normal(stream),
        ids: m.random(s.rows, s.vocab),
        dw: m.normal([s.vocab, s.hidden], 'f32'),
      }),
    },
    {
      op: 'sumSquares',
      dtypes: ['f32'],
      inputs: (m) => ({ x: m.normal([16 * weights[0]!], 'f32'), into: m.normal([1], 'f32') }),
    },
    {
      op: 'clipScale',
      dtypes: ['f32'],
      inputs: (m) => ({ sumSquares: m.normal([1], 'f32') }),
      attrs: { maxNorm: 1 },
    },
    { op: 'scale', dtypes: both, inputs: (m) => ({ x: m.normal(wide), by: tensor([1], [1], { device: m.device }) }) },
    {
      op: 'adamw',
      dtypes: ['bf16'],
      inputs: (m) => ({
        param: m.normal([8 * weights[0]!], 'f32'),
        m: m.normal([8 * weights[0]!], 'f32', 1e-3),
        v: tensor(new Float32Array(8 * weights[0]!).fill(1e-6), [8 * weights[0]!], { device: m.device }),
        grad: m.normal([8 * weights[0]!], 'f32'),
        compute: m.uninitialised([8 * weights[0]!], 'bf16'),
      }),
      attrs: { lr: 1e-6, step: 10 },
    },
  ]
}

function gemmCases(s: OpShapes): OpBenchCase[] {
  const [x, w] = [
    [s.rows, s.hidden],
    [2 * s.intermediate, s.hidden],
  ]
  const y = [s.rows, 2 * s.intermediate]
  const head = [s.vocab, s.hidden]
  const scored = 256
  return [
    { op: 'packWeight', dtypes: both, inputs: (m) => ({ w: m.normal(w) }) },
    { op: 'linear', dtypes: both, inputs: (m) => ({ x: m.normal(x), w: m.normal(w, undefined, 0.05) }) },
    {
      op: 'linearBackwardInput',
      dtypes: both,
      inputs: (m) => ({ dy: m.normal(y), w: m.normal(w, undefined, 0.05) }),
    },
    {
      op: 'linearBackwardWeight',
      dtypes: both,
      inputs: (m) => ({ dy: m.normal(y), x: m.normal(x), dw: m.normal(w, 'f32') }),
    },
    { op: 'columnSum', dtypes: both, inputs: (m) => ({ x: m.normal(y), into: m.normal([y[1]!], 'f32') }) },
    { op: 'matmul', dtypes: both, inputs: (m) => ({ a: m.normal([768, 768]), b: m.normal([768, 768]) }) },
    {
      op: 'linearLogprob',
      dtypes: both,
      inputs: (m) => ({
        h: m.normal([scored, s.hidden]),
        w: m.normal(head, undefined, 0.05),
        targets: m.random(scored, s.vocab),
      }),
    },
    {
      op: 'linearLogprobBackward',
      dtypes: both,
      inputs: (m) => ({
        h: m.normal([scored, s.hidden]),
        w: m.normal(head, undefined, 0.05),
        targets: m.random(scored, s.vocab),
        lse: tensor(new Float32Array(scored).fill(11.5), [scored], { device: m.device }),
        entropy: m.normal([scored], 'f32'),
        dLogprob: m.normal([scored], 'f32'),
        dw: m.normal(head, 'f32'),
      }),
    },
    {
      op: 'sample',
      dtypes: ['f32'],
      inputs: (m) => ({
        logits: m.normal([s.sequences, s.vocab], 'f32', 3),
        keys: m.integers(range(4 * s.sequences), [s.sequences, 4]),
        positions: m.integers(range(s.sequences)),
      }),
      attrs: { temperature: 1, topK: 0, topP: 1, minP: 0 },
    },
  ]
}

function attentionCases(s: OpShapes): OpBenchCase[] {
  const q = [s.rows, s.heads, s.headDim]
  const kv = [s.rows, s.kvHeads, s.headDim]
  const groups = 8
  const prompt = s.rows - groups * 96
  // one prompt, then eight answers that see it: a shared-prefix training batch
  const segments = (m: Maker) =>
    m.integers(
      [
        [0, prompt, 0, 0, 0, 0],
        ...range(groups).map((g) => [prompt + g * 96, prompt + (g + 1) * 96, prompt + g * 96, 0, 0, 1]),
      ].flat(),
      [groups + 1, 6],
    )
  const pageSize = 32
  const pages = Math.ceil(s.context / pageSize)
  const b = s.sequences
  const cache = (m: Maker) => m.normal([b * pages, 2, s.kvHeads, pageSize, s.headDim])
  const ownPages = (m: Maker) => m.integers(range(b * pages), [b, pages])
  const lengths = (m: Maker) => m.integers(new Int32Array(b).fill(s.context))
  // Scores and weighted values are 2 D operations each for a query head and a key that it sees; backward has five such products.
  const causal = (n: number) => (n * (n + 1)) / 2
  const seen = causal(prompt) + groups * (96 * prompt + causal(96))
  const perPair = 4 * s.headDim * s.heads
  const slots = (m: Maker) => m.integers(range(b).map((i) => i * pages * pageSize + 5))
  return [
    {
      op: 'attention',
      dtypes: both,
      inputs: (m) => ({
        q: m.normal(q),
        k: m.normal(kv),
        v: m.normal(kv),
        segments: segments(m),
        spans: m.integers([0, prompt], [1, 2]),
      }),
      flops: perPair * seen,
    },
    {
      op: 'attentionBackward',
      dtypes: both,
      inputs: (m) => ({
        q: m.normal(q),
        k: m.normal(kv),
        v: m.normal(kv),
        out: m.normal(q),
        lse: tensor(new Float32Array(s.rows * s.heads).fill(7), [s.rows, s.heads], { device: m.device }),
        dOut: m.normal(q),
        segments: segments(m),
        spans: m.integers([0, prompt], [1, 2]),
      }),
      flops: 2.5 * perPair * seen,
    },
    {
      op: 'decodeAttention',
      dtypes: both,
      inputs: (m) => ({
        q: m.normal([b, s.heads, s.headDim]),
        kv: cache(m),
        rowGroup: m.integers(range(b)),
        prefixPages: m.integers([], [b, 0]),
        prefixLens: m.integers(new Int32Array(b)),
        ownPages: ownPages(m),
        ownLens: lengths(m),
      }),
      flops: perPair * b * s.context,
    },
    {
      op: 'kvWrite',
      dtypes: both,
      inputs: (m) => ({
        k: m.normal([b, s.kvHeads, s.headDim]),
        v: m.normal([b, s.kvHeads, s.headDim]),
        kv: cache(m),
        slots: slots(m),
      }),
    },
    { op: 'kvRead', dtypes: both, inputs: (m) => ({ kv: cache(m), slots: slots(m) }) },
    {
      op: 'decodeSlots',
      dtypes: ['f32'],
      inputs: (m) => ({ ownPages: ownPages(m), ownLens: lengths(m) }),
      attrs: { pageSize },
    },
    {
      op: 'decodeAdvance',
      dtypes: ['f32'],
      inputs: (m) => ({
        rowGroup: m.integers(range(b)),
        positions: m.integers(new Int32Array(b)),
        ownLens: m.integers(new Int32Array(b)),
      }),
    },
  ]
}

/** One case for each op of the native table (a test checks that none is missing). */
export function opCases(shapes: OpShapes = smollm2Shapes): OpBenchCase[] {
  return [...pointwiseCases(shapes), ...gemmCases(shapes), ...attentionCases(shapes)]
}
