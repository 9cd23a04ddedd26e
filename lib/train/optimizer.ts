import { fail } from '../errors.js'
import type { SafetensorsOutput } from '../formats/safetensors-write.js'
import type { ParamStore } from '../nn/params.js'
import { adamw, clipScale, fill, sumSquares } from '../tensor/ops.generated.js'
import { keep, scope } from '../tensor/scope.js'
import { empty, type Tensor, write } from '../tensor/tensor.js'
import type { GRPOConfig } from './config.js'

export type OptimizerSettings = Pick<
  GRPOConfig,
  'adamBeta1' | 'adamBeta2' | 'adamEpsilon' | 'weightDecay' | 'maxGradNorm'
>

/**
 * AdamW (arXiv 1711.05101) on the flat fp32 buckets of a `ParamStore`, in place, in one pass that also scales the gradients.
 *
 * Weight decay is decoupled and spares norms and biases (Hugging Face's rule: the bucket says so). Moments are fp32.
 */
export class AdamW {
  private readonly moments: { first: Tensor; second: Tensor }[]
  /** Updates made: the exponent of the bias corrections. */
  private updates = 0

  constructor(
    private readonly params: ParamStore,
    private readonly settings: OptimizerSettings,
  ) {
    const zeros = (shape: readonly number[]) => {
      const t = keep(empty(shape, { device: params.device }))
      fill(t, { value: 0 })
      return t
    }
    this.moments = params.buckets.map(({ master }) => ({ first: zeros(master.shape), second: zeros(master.shape) }))
  }

  /**
   * Clips the gradients to `maxGradNorm` as torch's clip_grad_norm_ does, makes one update and refreshes the compute copies.
   *
   * Returns the global L2 norm of the gradients before clipping. Where it is not finite nothing has changed.
   */
  async update(learningRate: number): Promise<number> {
    const { norm, scale } = this.gradientScale()
    try {
      const [value] = await norm.toFloat32Array()
      if (!Number.isFinite(value)) return value!
      this.updates++
      this.apply(learningRate, scale)
      this.params.refresh()
      return value!
    } finally {
      norm.dispose()
      scale.dispose()
    }
  }

  private gradientScale(): { norm: Tensor; scale: Tensor } {
    const { maxGradNorm } = this.settings
    return scope(() => {
      const squares = empty([1], { device: this.params.device })
      for (const [i, { grad }] of this.params.buckets.entries()) sumSquares(grad!, squares, { accumulate: i > 0 })
      return clipScale(squares, { maxNorm: maxGradNorm > 0 ? maxGradNorm : Number.POSITIVE_INFINITY })
    })
  }

  private apply(lr: number, gradScale: Tensor): void {
    const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: eps, weightDecay } = this.settings
    for (const [i, { master, grad, decay }] of this.params.buckets.entries()) {
      const { first, second } = this.moments[i]!
      const options = { gradScale, lr, beta1, beta2, eps, weightDecay: decay ? weightDecay : 0, step: this.updates }
      adamw(master, first, second, grad!, options)
    }
  }

  /** The moments, for a checkpoint; the bits of every number are kept. */
  exportTensors(): SafetensorsOutput[] {
    const output = (name: string, t: Tensor): SafetensorsOutput => ({
      name,
      dtype: 'F32',
      shape: t.shape,
      read: () => t.toFloat32Array(),
    })
    return this.moments.flatMap(({ first, second }, i) => [output(`first.${i}`, first), output(`second.${i}`, second)])
  }

  /** Takes over the moments of a checkpoint made after `updates` updates. */
  async importTensors(read: (name: string) => Promise<Float32Array>, updates: number): Promise<void> {
    const take = async (name: string, into: Tensor) => {
      const values = await read(name)
      if (values.length !== into.size) {
        fail('Error', 'ERR_FORMAT', `[resume] expected ${into.size} values in ${name}, got ${values.length}`)
      }
      write(into, values)
    }
    for (const [i, { first, second }] of this.moments.entries()) {
      await take(`first.${i}`, first)
      await take(`second.${i}`, second)
    }
    this.updates = updates
  }

  dispose(): void {
    for (const { first, second } of this.moments) {
      first.dispose()
      second.dispose()
    }
  }
}
