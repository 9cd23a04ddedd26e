// Conversions between the storage types of model files and fp32. All work on typed arrays of equal element order (little
// endian, as every supported machine is); none allocates per element.

let halfTable: Float32Array | null = null

/** The 65,536 values of IEEE half precision; a table because JavaScript has no half type (256 KiB, built once). */
export function halfToFloatTable(): Float32Array {
  if (halfTable) return halfTable
  const table = new Float32Array(65536)
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1
    const exponent = (bits >> 10) & 0x1f
    const fraction = bits & 0x3ff
    table[bits] =
      exponent === 0x1f
        ? fraction
          ? Number.NaN
          : sign * Number.POSITIVE_INFINITY
        : exponent === 0
          ? sign * fraction * 2 ** -24
          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
  }
  halfTable = table
  return table
}

/** fp16 bit patterns to fp32, into `out[at …]`. */
export function halfToFloat(source: Uint16Array, out: Float32Array, at = 0): void {
  const table = halfToFloatTable()
  for (let i = 0; i < source.length; i++) out[at + i] = table[source[i]!]!
}

/** bf16 bit patterns to fp32, into `out[at …]`: the upper half of the word. */
export function bfloatToFloat(source: Uint16Array, out: Float32Array, at = 0): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length)
  for (let i = 0; i < source.length; i++) bits[at + i] = source[i]! << 16
}

/** fp32 to bf16 bit patterns, round to nearest even; a NaN stays a NaN. */
export function floatToBfloat(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length)
  const out = new Uint16Array(source.length)
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!
    if ((word & 0x7fffffff) > 0x7f800000) out[i] = (word >>> 16) | 0x40
    else out[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
  return out
}

/** Index of the first element that is NaN or infinite, -1 where all are finite. */
export function firstNonFinite(values: Float32Array): number {
  // x - x is 0 for every finite x and NaN otherwise; a sum over a block finds out with one test a block.
  const block = 4096
  for (let start = 0; start < values.length; start += block) {
    const end = Math.min(start + block, values.length)
    let sum = 0
    for (let i = start; i < end; i++) sum += values[i]! - values[i]!
    if (sum === 0) continue
    for (let i = start; i < end; i++) if (!Number.isFinite(values[i]!)) return i
  }
  return -1
}
