// Llama 3's rotary scaling out of the divisors that llama.cpp stores.
//
// A GGUF of Llama 3.1 and later holds `rope_freqs.weight`: element i divides the frequency theta^(-2i/D). The scaling it comes
// from (Hugging Face's `rope_type: llama3`) is, with w = 2 pi theta^(2i/D) the wavelength and L the original context:
//   divisor = 1                          where w < L / high
//   divisor = factor                     where w > L / low
//   1 / divisor = (1 - s) / factor + s   between, s = (L / w - low) / (high - low)
// (L, low, high) multiplied by one number is the same scaling, so the published ones are tried first.

import { fail } from '../errors.js'
import type { DecoderConfig, Llama3RopeScaling } from '../nn/config.js'

type RopeShape = Pick<DecoderConfig, 'ropeTheta' | 'headDim'>

const wavelength = (index: number, { ropeTheta, headDim }: RopeShape): number =>
  2 * Math.PI * ropeTheta ** ((2 * index) / headDim)

/** The divisors of a scaling, one for each rotation pair. */
export function llama3Divisors(scaling: Llama3RopeScaling, shape: RopeShape): Float32Array {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: original } = scaling
  const out = new Float32Array(shape.headDim / 2)
  for (let i = 0; i < out.length; i++) {
    const w = wavelength(i, shape)
    const smooth = (original / w - low) / (high - low)
    out[i] = w < original / high ? 1 : w > original / low ? factor : 1 / ((1 - smooth) / factor + smooth)
  }
  return out
}

const agree = (a: Float32Array, b: Float32Array): boolean =>
  a.length === b.length && a.every((value, i) => Math.abs(value - b[i]!) <= 1e-3 * Math.abs(b[i]!))

/** The scaling that gives these divisors, or null where they are all 1; `ERR_CONFIG` where no llama3 scaling does. */
export function llama3ScalingOf(divisors: Float32Array, shape: RopeShape, where: string): Llama3RopeScaling | null {
  if (divisors.length === shape.headDim / 2 && divisors.every((value) => value === 1)) return null
  const factor = Math.max(...divisors)
  const published: Llama3RopeScaling = {
    type: 'llama3',
    factor: Number.parseFloat(factor.toPrecision(6)),
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  }
  for (const scaling of [published, fitted(divisors, factor, shape)]) {
    if (scaling && agree(llama3Divisors(scaling, shape), divisors)) return scaling
  }
  fail(
    'Error',
    'ERR_CONFIG',
    `${where}: tensor "rope_freqs.weight" expected the divisors of a llama3 rotary scaling for heads of ${shape.headDim}, got others`,
  )
}

/** low = 1, and (high, L) from the line s over 1/w through the elements between the two bounds. */
function fitted(divisors: Float32Array, factor: number, shape: RopeShape): Llama3RopeScaling | null {
  const points: { x: number; s: number }[] = []
  for (const [i, divisor] of divisors.entries()) {
    const s = (1 / divisor - 1 / factor) / (1 - 1 / factor)
    if (s > 1e-6 && s < 1 - 1e-6) points.push({ x: 1 / wavelength(i, shape), s })
  }
  const [first, last] = [points[0], points.at(-1)]
  if (!first || !last || first === last) return null
  const slope = (first.s - last.s) / (first.x - last.x)
  const ratio = slope * first.x - first.s
  if (!(slope > 0 && ratio > 0)) return null
  return {
    type: 'llama3',
    factor,
    lowFreqFactor: 1,
    highFreqFactor: Number.parseFloat((1 + 1 / ratio).toPrecision(5)),
    originalMaxPositionEmbeddings: Math.round(slope / ratio),
  }
}
