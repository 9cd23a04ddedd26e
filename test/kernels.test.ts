import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { native } from '../lib/tensor/native.js'

test('every op of the native table is public', async () => {
  const kernels: Record<string, unknown> = await import('callgrad/kernels')
  const missing = native.ops().filter(({ name }) => typeof kernels[name] !== 'function')
  assert.equal(
    missing.map(({ name }) => name),
    [],
  )
  for (const name of ['grpoLossMetrics', 'makeRopeTable', 'ropeInverseFrequencies'])
    assert.type(kernels[name], 'function')
})

test('a kernel works through the public name', async () => {
  const { rmsNorm } = await import('callgrad/kernels')
  const { tensor } = await import('../lib/tensor/tensor.js')
  const { y } = rmsNorm(tensor([3, 4], [1, 2]), tensor([1, 1]), { eps: 0 })
  const [a, b] = await y.toArray()
  assert.ok(Math.abs(a! - 3 / Math.sqrt(12.5)) < 1e-6 && Math.abs(b! - 4 / Math.sqrt(12.5)) < 1e-6)
})

test.run()
