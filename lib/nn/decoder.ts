import { checkpoint, type Tape, type Variable } from '../tensor/autograd.js'
import { scope } from '../tensor/scope.js'
import type { Tensor } from '../tensor/tensor.js'
import type { DeviceBatch } from './batch-tensors.js'
import type { DecoderConfig } from './config.js'
import { embedding, headNorm, linear, rmsNorm, ropeAttention, swiglu } from './ops.js'
import type { LayerParams, ParamStore } from './params.js'

/**
 * Final hidden states of a packed batch, after the last norm: [T, D]. The head is linearLogprob's business.
 *
 * Works for the policy, the reference and any store of the same config. Under a tape it records the backward pass;
 * with `checkpointActivations` each layer saves its input only and runs again in the backward.
 */
export function decode(
  params: ParamStore,
  batch: DeviceBatch,
  tape: Tape | null,
  { checkpointActivations = false } = {},
): Variable {
  const { config } = params
  const table = params.ropeTable
  // recorded first, so run last: the tables live until the backward pass is over
  tape?.record([batch.tokens, batch.positions, batch.segments, batch.spans], () => {})
  let h = embedding(params.get('embed'), batch.tokens, tape)
  for (const layer of params.layers()) {
    const run = (x: Variable, t: Tape | null) => scope(() => decoderLayer(layer, x, batch, table, config, t))
    if (checkpointActivations && tape) {
      h = checkpoint(tape, [h], ([x], t) => [run(x!, t)])[0]!
    } else {
      const before = h
      h = run(before, tape)
      before.value.drop() // only a tape may still need it
    }
  }
  return rmsNorm(h, params.get('norm'), config.rmsNormEps, tape)
}

/** From the residual stream h [T, D] to the next layer's. */
function decoderLayer(
  layer: LayerParams,
  h: Variable,
  batch: DeviceBatch,
  table: Tensor,
  config: DecoderConfig,
  tape: Tape | null,
): Variable {
  const eps = config.rmsNormEps
  const first = rmsNorm(h, layer.inputNorm, eps, tape)
  let qkv = linear(first, layer.qkv, { bias: layer.qkvBias }, tape) // [T, (Hq + 2 Hkv) * headDim]
  if (layer.qNorm && layer.kNorm) qkv = headNorm(qkv, layer.qNorm, layer.kNorm, config, tape)
  const attended = ropeAttention(qkv, batch, table, config, tape) // [T, Hq * headDim]
  const middle = linear(attended, layer.out, { residual: h }, tape) // [T, D]
  const second = rmsNorm(middle, layer.postNorm, eps, tape)
  const gateUp = linear(second, layer.gateUp, {}, tape) // [T, 2 F]
  return linear(swiglu(gateUp, tape), layer.down, { residual: middle }, tape)
}
