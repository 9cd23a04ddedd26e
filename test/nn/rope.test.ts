import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeRopeTable, ropeInverseFrequencies } from '../../lib/nn/rope.js'
import { device } from '../../lib/tensor/device.js'

const plain = { headDim: 64, ropeTheta: 10000, ropeScaling: null }
const scaled = {
  headDim: 128,
  ropeTheta: 500000,
  ropeScaling: {
    type: 'llama3' as const,
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  },
}

test('frequencies fall from 1 towards 1 / theta', () => {
  const f = ropeInverseFrequencies(plain)
  assert.is(f.length, 32)
  assert.is(f[0], 1)
  assert.ok(Math.abs(f[16]! - 0.01) < 1e-15)
  assert.ok(f.every((x, j) => j === 0 || x < f[j - 1]!))
})

test('llama3 scaling keeps short waves, slows long ones by the factor, and blends between', () => {
  const before = ropeInverseFrequencies({ ...scaled, ropeScaling: null })
  const after = ropeInverseFrequencies(scaled)
  const kinds = new Set<string>()
  after.forEach((f, j) => {
    const wavelength = (2 * Math.PI) / before[j]!
    const ratio = before[j]! / f
    if (wavelength < 8192 / 4) {
      kinds.add('kept')
      assert.is(ratio, 1)
    } else if (wavelength > 8192) {
      kinds.add('slowed')
      assert.ok(Math.abs(ratio - 8) < 1e-12)
    } else {
      kinds.add('blended')
      const smooth = (8192 / wavelength - 1) / 3 // as the model card writes it
      assert.ok(Math.abs(f - ((1 - smooth) * before[j]! * (1 / 8) + smooth * before[j]!)) < 1e-15)
    }
  })
  assert.is(kinds.size, 3)
})

test('the table is exact to f32 at position 131071', async () => {
  const positions = 131072
  const table = makeRopeTable({ ...scaled, headDim: 8 }, positions, device('cpu'))
  assert.equal(table.shape, [positions, 8])
  const last = await table.rows(positions - 1, positions).toArray()
  ropeInverseFrequencies({ ...scaled, headDim: 8 }).forEach((f, j) => {
    const angle = (positions - 1) * f
    assert.ok(Math.abs(last[j]! - Math.cos(angle)) < 1e-7, `cos ${j}`)
    assert.ok(Math.abs(last[4 + j]! - Math.sin(angle)) < 1e-7, `sin ${j}`)
  })
  table.dispose()
})

test.run()
