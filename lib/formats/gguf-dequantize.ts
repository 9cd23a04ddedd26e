// Blocks of ggml's storage types to fp32.
//
// A block holds 32 or 256 consecutive elements of a row: one or two fp16 scales and packed integers; layouts as comments
// beside each function (bytes, in order). Products are formed in fp64 and rounded once, so a value is the fp32 nearest to
// scale * integer (+ minimum). A real file of 98 MB (Q4_1, Q8_0) takes 0.8 to 1.0 s on one
// core of a 2-core cloud machine.

import { fail } from '../errors.js'
import { bfloatToFloat, halfToFloat, halfToFloatTable } from './dtype.js'

/** `blocks` blocks from `source[at …]` into `out[to …]`. */
type Dequantize = (source: Uint8Array, out: Float32Array, blocks: number) => void

/** d: f16, then 16 bytes: element i in the low nibble of byte i, element i + 16 in the high one; value (q - 8) d. */
const q4_0: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 18, o += 32) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    for (let i = 0; i < 16; i++) {
      const q = source[s + 2 + i]!
      out[o + i] = ((q & 15) - 8) * d
      out[o + i + 16] = ((q >> 4) - 8) * d
    }
  }
}

/** d, m: f16, then nibbles as in Q4_0; value q d + m. */
const q4_1: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 20, o += 32) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    const m = half[source[s + 2]! | (source[s + 3]! << 8)]!
    for (let i = 0; i < 16; i++) {
      const q = source[s + 4 + i]!
      out[o + i] = (q & 15) * d + m
      out[o + i + 16] = (q >> 4) * d + m
    }
  }
}

/** d: f16, 32 fifth bits (bit i of a u32 belongs to element i), then nibbles as in Q4_0; value (q - 16) d. */
const q5_0: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 22, o += 32) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    const low = source[s + 2]! | (source[s + 3]! << 8)
    const high = source[s + 4]! | (source[s + 5]! << 8)
    for (let i = 0; i < 16; i++) {
      const q = source[s + 6 + i]!
      out[o + i] = (((q & 15) | (((low >> i) & 1) << 4)) - 16) * d
      out[o + i + 16] = (((q >> 4) | (((high >> i) & 1) << 4)) - 16) * d
    }
  }
}

/** d, m: f16, fifth bits and nibbles as in Q5_0; value q d + m. */
const q5_1: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 24, o += 32) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    const m = half[source[s + 2]! | (source[s + 3]! << 8)]!
    const low = source[s + 4]! | (source[s + 5]! << 8)
    const high = source[s + 6]! | (source[s + 7]! << 8)
    for (let i = 0; i < 16; i++) {
      const q = source[s + 8 + i]!
      out[o + i] = ((q & 15) | (((low >> i) & 1) << 4)) * d + m
      out[o + i + 16] = ((q >> 4) | (((high >> i) & 1) << 4)) * d + m
    }
  }
}

/** d: f16, then 32 signed bytes; value q d. */
const q8_0: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 34, o += 32) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    for (let i = 0; i < 32; i++) out[o + i] = ((source[s + 2 + i]! << 24) >> 24) * d
  }
}

/**
 * Scale and minimum j of the 8 sub-blocks, 6 bits each in 12 bytes: the first four in the low bits of bytes 0 to 7, the last
 * four in the nibbles of bytes 8 to 11 with their upper two bits on top of bytes 0 to 7.
 */
const scaleOf = (source: Uint8Array, at: number, j: number): number =>
  j < 4 ? source[at + j]! & 63 : (source[at + j + 4]! & 15) | ((source[at + j - 4]! >> 6) << 4)
const minimumOf = (source: Uint8Array, at: number, j: number): number =>
  j < 4 ? source[at + j + 4]! & 63 : (source[at + j + 4]! >> 4) | ((source[at + j]! >> 6) << 4)

/**
 * d, dmin: f16, 12 bytes of scales and minima, 128 bytes: each run of 32 holds sub-block 2k in its low nibbles and 2k + 1 in
 * its high ones; value q d scale - dmin minimum.
 */
const q4_k: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 144, o += 256) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    const dmin = half[source[s + 2]! | (source[s + 3]! << 8)]!
    for (let pair = 0; pair < 4; pair++) {
      const d0 = d * scaleOf(source, s + 4, 2 * pair)
      const d1 = d * scaleOf(source, s + 4, 2 * pair + 1)
      const m0 = dmin * minimumOf(source, s + 4, 2 * pair)
      const m1 = dmin * minimumOf(source, s + 4, 2 * pair + 1)
      const from = s + 16 + 32 * pair
      const to = o + 64 * pair
      for (let i = 0; i < 32; i++) {
        const q = source[from + i]!
        out[to + i] = (q & 15) * d0 - m0
        out[to + 32 + i] = (q >> 4) * d1 - m1
      }
    }
  }
}

/** As Q4_K with 32 bytes of fifth bits before the nibbles: bit j of byte i belongs to element i of sub-block j. */
const q5_k: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 176, o += 256) {
    const d = half[source[s]! | (source[s + 1]! << 8)]!
    const dmin = half[source[s + 2]! | (source[s + 3]! << 8)]!
    for (let pair = 0; pair < 4; pair++) {
      const d0 = d * scaleOf(source, s + 4, 2 * pair)
      const d1 = d * scaleOf(source, s + 4, 2 * pair + 1)
      const m0 = dmin * minimumOf(source, s + 4, 2 * pair)
      const m1 = dmin * minimumOf(source, s + 4, 2 * pair + 1)
      const from = s + 48 + 32 * pair
      const to = o + 64 * pair
      for (let i = 0; i < 32; i++) {
        const q = source[from + i]!
        const fifth = source[s + 16 + i]! >> (2 * pair)
        out[to + i] = ((q & 15) | ((fifth & 1) << 4)) * d0 - m0
        out[to + 32 + i] = ((q >> 4) | ((fifth & 2) << 3)) * d1 - m1
      }
    }
  }
}

/**
 * 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales (one per 16 elements), d: f16. Each half of 128
 * elements is four runs of 32: nibbles low, low, high, high of 64 bytes; bit pairs 0 to 3 of 32 bytes. Value (q - 32) d scale.
 */
const q6_k: Dequantize = (source, out, blocks) => {
  const half = halfToFloatTable()
  for (let b = 0, s = 0, o = 0; b < blocks; b++, s += 210, o += 256) {
    const d = half[source[s + 208]! | (source[s + 209]! << 8)]!
    for (let part = 0; part < 2; part++) {
      const ql = s + 64 * part
      const qh = s + 128 + 32 * part
      const scales = s + 192 + 8 * part
      const to = o + 128 * part
      for (let i = 0; i < 32; i++) {
        const at = scales + (i >> 4)
        const [a, c, h] = [source[ql + i]!, source[ql + 32 + i]!, source[qh + i]!]
        out[to + i] = (((a & 15) | ((h & 3) << 4)) - 32) * d * ((source[at]! << 24) >> 24)
        out[to + 32 + i] = (((c & 15) | ((h & 12) << 2)) - 32) * d * ((source[at + 2]! << 24) >> 24)
        out[to + 64 + i] = (((a >> 4) | (h & 48)) - 32) * d * ((source[at + 4]! << 24) >> 24)
        out[to + 96 + i] = (((c >> 4) | ((h & 192) >> 2)) - 32) * d * ((source[at + 6]! << 24) >> 24)
      }
    }
  }
}

const f32: Dequantize = (source, out) => {
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(source.subarray(0, out.byteLength))
}
const f16: Dequantize = (source, out) => halfToFloat(words(source), out)
const bf16: Dequantize = (source, out) => bfloatToFloat(words(source), out)

/** The bytes as 16-bit words, copied only where they do not lie aligned. */
function words(source: Uint8Array): Uint16Array {
  const aligned = source.byteOffset % 2 === 0 ? source : source.slice()
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 1)
}

/** The types that can be read, by ggml's number: elements and bytes of one block. */
export const ggmlTypes = {
  0: { name: 'F32', elements: 1, bytes: 4, dequantize: f32 },
  1: { name: 'F16', elements: 1, bytes: 2, dequantize: f16 },
  2: { name: 'Q4_0', elements: 32, bytes: 18, dequantize: q4_0 },
  3: { name: 'Q4_1', elements: 32, bytes: 20, dequantize: q4_1 },
  6: { name: 'Q5_0', elements: 32, bytes: 22, dequantize: q5_0 },
  7: { name: 'Q5_1', elements: 32, bytes: 24, dequantize: q5_1 },
  8: { name: 'Q8_0', elements: 32, bytes: 34, dequantize: q8_0 },
  12: { name: 'Q4_K', elements: 256, bytes: 144, dequantize: q4_k },
  13: { name: 'Q5_K', elements: 256, bytes: 176, dequantize: q5_k },
  14: { name: 'Q6_K', elements: 256, bytes: 210, dequantize: q6_k },
  30: { name: 'BF16', elements: 1, bytes: 2, dequantize: bf16 },
} as const

export type GgmlType = keyof typeof ggmlTypes

const otherTypes: Record<number, string> = {
  4: 'Q4_2',
  5: 'Q4_3',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
}

/** A type's name for messages, also where it cannot be read. */
export function ggmlTypeName(type: number): string {
  return ggmlTypes[type as GgmlType]?.name ?? otherTypes[type] ?? `type ${type}`
}

/**
 * fp32 values of `count` elements stored as `type`.
 *
 * `ERR_SHAPE` where `source` is not exactly the blocks that `count` elements need, so a loop never reads past its end.
 */
export function dequantize(type: GgmlType, source: Uint8Array, count: number): Float32Array {
  const { name, elements, bytes, dequantize: run } = ggmlTypes[type]
  const blocks = count / elements
  if (!Number.isInteger(blocks) || source.byteLength !== blocks * bytes) {
    fail(
      'RangeError',
      'ERR_SHAPE',
      `[gguf] ${count} elements of ${name} expected ${blocks * bytes} bytes in whole blocks, got ${source.byteLength}`,
    )
  }
  const out = new Float32Array(count)
  run(source, out, blocks)
  return out
}
