import { product } from '../tensor/tensor.js'
import type { ParamStore } from './params.js'

/**
 * Fills a store with random weights: matrices from N(0, std^2), norms 1, biases 0 (the rule of Hugging Face's decoder
 * families, std 0.02). The same seed gives the same bits on every machine.
 */
export function initializeParams(params: ParamStore, { seed = 0, std = 0.02 } = {}): void {
  for (const [index, { name, shape }] of params.tensorSpecs().entries()) {
    const values = new Float32Array(product(shape))
    if (shape.length === 1) values.fill(name.endsWith('.bias') ? 0 : 1)
    else fillNormal(values, seed, index, std)
    params.importTensor(name, values)
  }
  params.refresh()
}

/**
 * Normal numbers by the Box-Muller transform over a 32-bit counter hash (the finaliser of MurmurHash3 on a Weyl
 * sequence): value i depends on (seed, stream, i) only.
 */
function fillNormal(out: Float32Array, seed: number, stream: number, std: number): void {
  const key = mix(Math.imul(seed, 0x9e3779b1) ^ mix(stream + 0x7f4a7c15))
  for (let i = 0; i < out.length; i += 2) {
    const u = (mix(key ^ mix(2 * i + 1)) + 1) / 4294967297
    const v = mix(key + 0x6a09e667 + mix(2 * i + 2)) / 4294967296
    const r = std * Math.sqrt(-2 * Math.log(u))
    out[i] = r * Math.cos(2 * Math.PI * v)
    if (i + 1 < out.length) out[i + 1] = r * Math.sin(2 * Math.PI * v)
  }
}

function mix(x: number): number {
  let h = x | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
