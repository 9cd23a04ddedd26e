import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bfloatToFloat, firstNonFinite, floatToBfloat, halfToFloatTable } from '../../lib/formats/dtype.js'

test('half precision: known values, subnormals, infinities', () => {
  const table = halfToFloatTable()
  const known: [number, number][] = [
    [0x0000, 0],
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
  ]
  for (const [bits, value] of known) assert.is(table[bits], value, bits.toString(16))
  assert.ok(Object.is(table[0x8000], -0))
  assert.ok(Number.isNaN(table[0x7e00]))
})

test('bf16 rounds to nearest, ties to even, and keeps NaN and infinities', () => {
  const bits = (values: number[]) => [...floatToBfloat(Float32Array.from(values))]
  assert.equal(bits([1, -2, 0]), [0x3f80, 0xc000, 0])
  // 1 + 2^-8 lies halfway between 1 and 1 + 2^-7: to even is down; 1 + 3 * 2^-8 goes up.
  assert.equal(bits([1 + 2 ** -8, 1 + 3 * 2 ** -8]), [0x3f80, 0x3f82])
  assert.equal(bits([1 + 2 ** -8 + 2 ** -20]), [0x3f81])
  assert.equal(bits([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]), [0x7f80, 0xff80])
  assert.equal(bits([3.4028234663852886e38]), [0x7f80])
  const [nan] = bits([Number.NaN])
  assert.is(nan! & 0x7f80, 0x7f80)
  assert.ok((nan! & 0x7f) !== 0)
})

test('bf16 to fp32 and back is the identity for every finite pattern', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((value) => (value & 0x7f80) !== 0x7f80)
  const floats = new Float32Array(all.length)
  bfloatToFloat(all, floats)
  assert.equal(floatToBfloat(floats), all)
})

test('the first value that is not finite is found wherever it stands', () => {
  const values = new Float32Array(10_000).fill(1e38)
  assert.is(firstNonFinite(values), -1)
  for (const at of [0, 4095, 4096, 9999]) {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const copy = values.slice()
      copy[at] = bad
      assert.is(firstNonFinite(copy), at)
    }
  }
})

test.run()
