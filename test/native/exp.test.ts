import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { swiglu } from '../../lib/tensor/ops.generated.js'
import { tensor } from '../../lib/tensor/tensor.js'

// The kernels' exponential, seen through SwiGLU: gate -x, up 1e30 give -x / (e^x + 1) * 1e30.

const seen = async (x: Float32Array): Promise<Float32Array> => {
  const up = Float32Array.from(x, () => 1e30)
  const gate = Float32Array.from(x, (value) => -value)
  return swiglu(
    tensor(gate, [1, x.length], { device: 'cpu' }),
    tensor(up, [1, x.length], { device: 'cpu' }),
  ).toFloat32Array()
}

test('e^x is right to a few roundings up to where it overflows', async () => {
  const x = Float32Array.from({ length: 20_000 }, (_, i) => -20 + (i * 108.7228) / 20_000)
  const y = await seen(x)
  let worst = 0
  for (const [i, value] of x.entries()) {
    const expected = (-value / (Math.exp(value) + 1)) * 1e30
    worst = Math.max(worst, Math.abs(y[i]! / expected - 1) || 0)
  }
  assert.ok(worst < 1e-6, `relative error ${worst}`)
})

test('past the largest float it is infinite', async () => {
  const y = await seen(Float32Array.of(88.7229, 90, 1000, Number.POSITIVE_INFINITY))
  for (const value of y.subarray(0, 3)) assert.is(Math.abs(value), 0)
})

test.run()
