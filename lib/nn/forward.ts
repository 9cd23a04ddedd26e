import type { PackedBatch } from '../batch.js'
import { Tape, type Variable } from '../tensor/autograd.js'
import { linearLogprob, linearLogprobBackward } from '../tensor/ops.generated.js'
import { keep, scope } from '../tensor/scope.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { toDevice } from './batch-tensors.js'
import { decode } from './decoder.js'
import { gatherRows } from './ops.js'
import type { ParamStore } from './params.js'

export interface ForwardOptions {
  /** Log-probs are log-softmax(logits / temperature); 0 counts as 1. Default 1. */
  temperature?: number
  /** Records the backward pass. */
  train?: boolean
  /** Saves each layer's input only and recomputes the layer in the backward pass. */
  checkpointActivations?: boolean
}

/**
 * Log-probs and entropies of the predictions of a packed batch, in the order of `batch.rows`. A batch without
 * predictions is fine: every vector is empty and the backward does nothing.
 */
export class TokenScores {
  readonly #params: ParamStore
  readonly #hidden: Variable
  readonly #targets: Tensor
  readonly #lse: Tensor
  readonly #tape: Tape | null
  readonly #temperature: number

  /** @internal Use {@link forwardLogprobs}. */
  constructor(
    params: ParamStore,
    /** [R, D] hidden states of the predicting rows */
    hidden: Variable,
    targets: Tensor,
    /** f32 [R] */
    readonly logprob: Tensor,
    lse: Tensor,
    /** f32 [R], in nats */
    readonly entropy: Tensor,
    tape: Tape | null,
    temperature: number,
  ) {
    this.#params = params
    this.#hidden = hidden
    this.#targets = targets
    this.#lse = lse
    this.#tape = tape
    this.#temperature = temperature
  }

  /** Awaits the values. */
  async read(): Promise<{ logprob: Float32Array; entropy: Float32Array }> {
    const [logprob, entropy] = await Promise.all([this.logprob.toFloat32Array(), this.entropy.toFloat32Array()])
    return { logprob, entropy }
  }

  /**
   * Adds the gradients of sum(dLogprob * logprob) + sum(dEntropy * entropy) to the parameters' gradients, and frees
   * the activations. Once only; call {@link ParamStore.zeroGrad} before the first of an update.
   */
  backward(dLogprob: Float32Array, dEntropy?: Float32Array): void {
    const tape = this.#tape
    if (!tape) throw new Error('[backward] expected scores of a forward pass with { train: true }, once')
    const head = this.#params.head
    const device = this.#params.device
    scope(() => {
      const dHidden = linearLogprobBackward(
        this.#hidden.value,
        head.forward!,
        this.#targets,
        this.#lse,
        this.entropy,
        tensor(dLogprob, [dLogprob.length], { device }),
        {
          dEntropy: dEntropy ? tensor(dEntropy, [dEntropy.length], { device }) : null,
          wTransposed: head.backward,
          dw: head.grad,
          temperature: this.#temperature,
        },
      )
      this.#hidden.accumulate(dHidden)
      tape.backward()
    })
  }

  /** Frees what the scores hold; the values can no longer be read. */
  dispose(): void {
    this.#tape?.clear()
    for (const t of [this.logprob, this.entropy, this.#lse, this.#targets, this.#hidden.value]) t.dispose()
  }
}

/** Runs the decoder over a packed batch and scores `batch.targets` at `batch.rows`. Awaits nothing. */
export function forwardLogprobs(
  params: ParamStore,
  batch: PackedBatch,
  { temperature = 1, train = false, checkpointActivations = false }: ForwardOptions = {},
): TokenScores {
  const { device } = params
  if (train) params.prepareBackward()
  const tape = train ? new Tape() : null
  try {
    return scope(() => {
      const hidden = decode(params, toDevice(batch, device), tape, { checkpointActivations })
      const rows = gatherRows(hidden, tensor(batch.rows, [batch.rows.length], { device }), tape)
      const targets = keep(tensor(batch.targets, [batch.targets.length], { device }))
      const { logprob, lse, entropy } = linearLogprob(rows.value, params.head.forward!, targets, { temperature })
      for (const t of [rows.value, logprob, lse, entropy]) keep(t)
      return new TokenScores(params, rows, targets, logprob, lse, entropy, tape, temperature)
    })
  } catch (error) {
    tape?.clear()
    throw error
  }
}
