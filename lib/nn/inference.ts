// The decoder without gradients: one set of buffers serves every layer, and attention is the caller's, because it is where a
// prompt and a decode step differ. Op for op the arithmetic of decoder.ts: log-probs of a rollout equal the trainer's.

import { embedding, linear, rmsNorm, rope, swiglu } from '../tensor/ops.generated.js'
import { keep } from '../tensor/scope.js'
import { empty, type Tensor } from '../tensor/tensor.js'
import type { DecoderConfig } from './config.js'
import type { LayerParams, ParamStore } from './params.js'

/** Buffers for T rows. Several names may be views of one buffer. */
export class Workspace {
  /** [T, D] the residual stream, updated in place. */
  readonly h: Tensor
  /** [T, D] after a norm. */
  readonly normed: Tensor
  readonly qkv: Tensor // [T, (Hq + 2 Hkv) * headDim]
  readonly q: Tensor // [T, Hq, headDim], a view of qkv, as the next three
  readonly k: Tensor // [T, Hkv, headDim]
  readonly v: Tensor // [T, Hkv, headDim]
  readonly qk: Tensor // [T, Hq + Hkv, headDim]
  readonly attended: Tensor // [T, Hq, headDim]
  readonly gateUp: Tensor // [T, 2 F]
  readonly gate: Tensor // [T, F], a view of gateUp
  readonly up: Tensor // [T, F]
  readonly product: Tensor // [T, F]
  readonly rstd: Tensor // f32 [T]
  readonly qRstd: Tensor // f32 [T * Hq]
  readonly kRstd: Tensor // f32 [T * Hkv]
  readonly #all: Tensor[] = []

  /** @param within a workspace of at least as many rows, whose first rows this one is */
  constructor(params: ParamStore, rows: number, within?: Workspace) {
    const { hiddenSize, intermediateSize: f, numHeads: hq, numKvHeads: hkv, headDim } = params.config
    const { device, dtype } = params
    const own = (t: Tensor) => {
      this.#all.push(keep(t))
      return t
    }
    const make = (whole: Tensor | undefined, ...shape: number[]) =>
      own(whole ? whole.rows(0, shape[0]!) : empty(shape, { device, dtype }))
    const statistics = (whole: Tensor | undefined, n: number) => own(whole ? whole.rows(0, n) : empty([n], { device }))
    const width = (hq + 2 * hkv) * headDim
    const heads = (from: number, count: number) => own(this.qkv.view([rows, count, headDim], from * headDim, width))
    this.h = make(within?.h, rows, hiddenSize)
    this.normed = make(within?.normed, rows, hiddenSize)
    this.qkv = make(within?.qkv, rows, width)
    this.q = heads(0, hq)
    this.k = heads(hq, hkv)
    this.v = heads(hq + hkv, hkv)
    this.qk = heads(0, hq + hkv)
    this.attended = make(within?.attended, rows, hq, headDim)
    this.gateUp = make(within?.gateUp, rows, 2 * f)
    this.gate = own(this.gateUp.columns(0, f))
    this.up = own(this.gateUp.columns(f, 2 * f))
    this.product = make(within?.product, rows, f)
    this.rstd = statistics(within?.rstd, rows)
    this.qRstd = statistics(within?.qRstd, rows * hq)
    this.kRstd = statistics(within?.kRstd, rows * hkv)
  }

  dispose(): void {
    for (const t of this.#all) t.dispose()
  }
}

/** Attends from `w.q` to whatever the rows see, into `w.attended`; writes `w.k` and `w.v` where they belong. */
export type Attend = (layer: number, w: Workspace, last: boolean) => void

/**
 * Runs the layers over T rows. Leaves the final hidden states, after the last norm, in `w.normed`.
 *
 * @param keysOnly stop once the last layer's keys and values are known: nobody reads the hidden states of a prompt
 */
export function runLayers(
  params: ParamStore,
  w: Workspace,
  tokens: Tensor,
  positions: Tensor,
  attend: Attend,
  { keysOnly = false } = {},
): void {
  const { config } = params
  const table = params.ropeTable
  embedding(params.get('embed').plain!, tokens, { out: { y: w.h } })
  let index = 0
  for (const layer of params.layers()) {
    normalise(w, layer.inputNorm.plain!, config)
    linear(w.normed, layer.qkv.forward!, { bias: layer.qkvBias?.plain ?? null, out: { y: w.qkv } })
    headNorms(w, layer, config)
    rope(w.qk, positions, table)
    const last = keysOnly && index === config.numLayers - 1
    attend(index++, w, last)
    if (last) return
    linear(w.attended, layer.out.forward!, { residual: w.h, out: { y: w.h } })
    normalise(w, layer.postNorm.plain!, config)
    linear(w.normed, layer.gateUp.forward!, { out: { y: w.gateUp } })
    swiglu(w.gate, w.up, { out: { y: w.product } })
    linear(w.product, layer.down.forward!, { residual: w.h, out: { y: w.h } })
  }
  normalise(w, params.get('norm').plain!, config)
}

function normalise(w: Workspace, weight: Tensor, { rmsNormEps: eps }: DecoderConfig): void {
  rmsNorm(w.h, weight, { eps, out: { y: w.normed, rstd: w.rstd } })
}

/** Qwen3's norms over each query and key head, in place. */
function headNorms(w: Workspace, { qNorm, kNorm }: LayerParams, { rmsNormEps: eps }: DecoderConfig): void {
  if (!qNorm || !kNorm) return
  rmsNorm(w.q, qNorm.plain!, { eps, out: { y: w.q, rstd: w.qRstd } })
  rmsNorm(w.k, kNorm.plain!, { eps, out: { y: w.k, rstd: w.kRstd } })
}
