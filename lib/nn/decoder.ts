import { checkpoint, type Tape, type Variable } from '../tensor/autograd.js'
import { scope } from '../tensor/scope.js'
import type { Tensor } from '../tensor/tensor.js'
import type { DeviceBatch } from './batch-tensors.js'
import type { DecoderConfig } from './config.js'
import { addRmsNorm, embedding, headNorm, linear, rmsNorm, ropeAttention, swiglu } from './ops.js'
import type { LayerParams, ParamStore } from './params.js'

/** The residual stream between layers: `h`, and what the last block adds to it once the next norm reads the sum. */
interface Stream {
  h: Variable // [T, D]
  branch: Variable | null // [T, D]
}

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
  let stream: Stream = { h: embedding(params.get('embed'), batch.tokens, tape), branch: null }
  for (const layer of params.layers()) {
    const run = (s: Stream, t: Tape | null) => scope(() => decoderLayer(layer, s, batch, table, config, t))
    const inputs = stream.branch ? [stream.h, stream.branch] : [stream.h]
    if (checkpointActivations && tape) {
      const [h, branch] = checkpoint(tape, inputs, ([h, branch], t) => {
        const next = run({ h: h!, branch: branch ?? null }, t)
        return [next.h, next.branch!]
      })
      stream = { h: h!, branch: branch! }
    } else {
      const before = stream
      stream = run(before, tape)
      dropStream(before, stream)
    }
  }
  const last = stream
  const { y } = addRmsNorm(last.h, last.branch!, params.get('norm'), config.rmsNormEps, tape)
  return y
}

function decoderLayer(
  layer: LayerParams,
  { h, branch }: Stream,
  batch: DeviceBatch,
  table: Tensor,
  config: DecoderConfig,
  tape: Tape | null,
): Stream {
  const eps = config.rmsNormEps
  const first = branch
    ? addRmsNorm(h, branch, layer.inputNorm, eps, tape)
    : { y: rmsNorm(h, layer.inputNorm, eps, tape), sum: h }
  let qkv = linear(first.y, layer.qkv, layer.qkvBias, tape) // [T, (Hq + 2 Hkv) * headDim]
  if (layer.qNorm && layer.kNorm) qkv = headNorm(qkv, layer.qNorm, layer.kNorm, config, tape)
  const attended = ropeAttention(qkv, batch, table, config, tape) // [T, Hq * headDim]
  const projected = linear(attended, layer.out, null, tape) // [T, D]
  const second = addRmsNorm(first.sum, projected, layer.postNorm, eps, tape)
  const gateUp = linear(second.y, layer.gateUp, null, tape) // [T, 2 F]
  const down = linear(swiglu(gateUp, tape), layer.down, null, tape) // [T, D]
  return { h: second.sum, branch: down }
}

/** Once the next layer has run, only a tape may still need a layer's input. */
function dropStream(before: Stream, after: Stream): void {
  for (const v of [before.h, before.branch]) {
    if (v && v !== after.h && v !== after.branch) v.value.drop()
  }
}
