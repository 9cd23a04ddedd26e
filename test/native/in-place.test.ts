import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { normal } from '../../lib/conformance/row.js'
import { add, copy, linear, rmsNorm, rmsNormBackward, swiglu, swigluBackward } from '../../lib/tensor/ops.generated.js'
import { type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { testDevice } from '../support/device.js'

// Outputs may be given tensors that are also inputs: the graph saves memory so.

const [rows, width] = [37, 83]

function fresh(seed: number): Tensor {
  return tensor(normal([rows, width], seed).values, [rows, width], { device: testDevice, dtype: 'bf16' })
}

async function same(actual: Tensor, expected: Tensor): Promise<void> {
  assert.equal([...(await actual.toArray())], [...(await expected.toArray())])
}

test('add into either summand', async () => {
  const expected = add(fresh(1), fresh(2))
  const [a, b] = [fresh(1), fresh(2)]
  add(a, b, { out: { y: a } })
  await same(a, expected)
  const c = fresh(1)
  add(c, b, { out: { y: b } })
  await same(b, expected)
})

test('linear into its residual, of a depth that is summed in one piece and in several', async () => {
  for (const dtype of ['bf16', 'f32'] as const) {
    for (const depth of [width, 4200]) {
      const make = (shape: number[], seed: number) =>
        tensor(normal(shape, seed).values, shape, { device: testDevice, dtype })
      const [x, w, residual] = [make([rows, depth], 1), make([70, depth], 2), make([rows, 70], 3)]
      const expected = linear(x, w, { residual })
      linear(x, w, { residual, out: { y: residual } })
      await same(residual, expected)
    }
  }
})

test('rmsNorm into x, its sum into the residual', async () => {
  const w = tensor(normal([width], 3).values, [width], { device: testDevice, dtype: 'bf16' })
  const expected = rmsNorm(fresh(1), w, { residual: fresh(2) })
  const [x, residual] = [fresh(1), fresh(2)]
  rmsNorm(x, w, { residual, out: { y: x, sum: residual } })
  await same(x, expected.y)
  await same(residual, expected.sum)
})

test('rmsNormBackward into dy or the gradient of the sum', async () => {
  const w = tensor(normal([width], 3).values, [width], { device: testDevice, dtype: 'bf16' })
  const s = fresh(4)
  const { rstd } = rmsNorm(s, w)
  const expected = rmsNormBackward(fresh(1), s, w, rstd, { dSum: fresh(2) })
  for (const which of ['dy', 'dSum'] as const) {
    const given = { dy: fresh(1), dSum: fresh(2) }
    rmsNormBackward(given.dy, s, w, rstd, { dSum: given.dSum, out: { dx: given[which] } })
    await same(given[which], expected)
  }
})

test('swiglu into the gate, its gradient into gate and up of one buffer', async () => {
  const expected = swigluBackward(fresh(1), fresh(2), fresh(3))
  const buffer = tensor(new Float32Array(rows * 2 * width), [rows, 2 * width], { device: testDevice, dtype: 'bf16' })
  const [gate, up] = [buffer.columns(0, width), buffer.columns(width, 2 * width)]
  copy(fresh(2), gate)
  copy(fresh(3), up)
  swigluBackward(fresh(1), gate, up, { out: { dGate: gate, dUp: up } })
  await same(gate, expected.dGate)
  await same(up, expected.dUp)
  const g = fresh(2)
  swiglu(g, fresh(3), { out: { y: g } })
  await same(g, swiglu(fresh(2), fresh(3)))
})

test.run()
