import type { Device } from '../tensor/device.js'
import { ropeTable } from '../tensor/ops.generated.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import type { DecoderConfig } from './config.js'

/** What of a config decides the angles. */
export type RopeConfig = Pick<DecoderConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>

/**
 * Angle per position of each pair of a head, theta^(-2j / headDim) (RoFormer, arXiv 2104.09864), in float64.
 *
 * With `llama3` scaling (the Llama 3.1 model card's reference code; `_compute_llama3_parameters` of transformers):
 * wavelengths above original / lowFreqFactor are slowed down by `factor`, those below original / highFreqFactor are
 * kept, and between the two the share of the kept frequency grows linearly with original / wavelength.
 *
 * @returns headDim / 2 frequencies
 */
export function ropeInverseFrequencies({ headDim, ropeTheta, ropeScaling }: RopeConfig): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, j) => {
    const frequency = ropeTheta ** ((-2 * j) / headDim)
    if (!ropeScaling) return frequency
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = ropeScaling
    const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI) // original / wavelength
    const kept = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)))
    return (1 - kept) * (frequency / factor) + kept * frequency
  })
}

/**
 * The table that `kernels.rope` reads: cosines and sines of positions 0 to `positions` - 1, computed on the device.
 *
 * @returns f32 [positions, headDim]
 */
export function makeRopeTable(config: RopeConfig, positions: number, device: Device): Tensor {
  const frequencies = ropeInverseFrequencies(config)
  const high = Float32Array.from(frequencies)
  const low = Float32Array.from(frequencies, (f, j) => f - high[j]!)
  const parts = tensor(Float32Array.of(...high, ...low), [2, high.length], { device })
  const table = ropeTable(parts, { positions })
  parts.dispose()
  return table
}
