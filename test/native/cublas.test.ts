import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type CublasResult, type CublasTiming, compareWithCublas, cublasOf } from '../../lib/cli/bench/cublas.js'
import { disposeAll, prepare, run, runByCublas } from '../../lib/cli/bench/op-call.js'
import { CacheFlush } from '../../lib/cli/bench/op-timing.js'
import { rowsOf } from '../../lib/cli/bench/ops.js'
import { smollm2Shapes } from '../../lib/conformance/bench.js'
import { device, devices } from '../../lib/tensor/device.js'
import { native } from '../../lib/tensor/native.js'

// cuBLAS beside our products, over the emulated CUDA runtime: a library that stands in for it (gpu/cublas_standin.cpp) works on the same
// stream and memory. That says nothing about the real one but that the calls are those of its documentation.

const test = suite('cuBLAS on an emulated GPU')
const folder = dirname(process.env.CALLGRAD_ADDON ?? '.')
const [standIn, partial] = [join(folder, 'cublas_standin.so'), join(folder, 'cublas_partial.so')]
const shapes = { ...smollm2Shapes, rows: 12, hidden: 24, intermediate: 16 }

function library(file: string, behaviour = ''): void {
  Object.assign(process.env, { CALLGRAD_CUBLAS: file, CUBLAS_STANDIN: behaviour })
}

async function compared(op: string, dtype: 'f32' | 'bf16'): Promise<CublasResult | null> {
  const gpu = device('cuda:0')
  const [row] = await rowsOf([op])
  const call = prepare(row!, shapes, gpu, dtype)
  const flush = new CacheFlush(gpu, 2 ** 20)
  const result = await compareWithCublas(row!, call, dtype, { device: gpu, flush, seconds: 0 })
  disposeAll(call.inputs)
  flush.dispose()
  return result
}
const refusal = async (op: string, dtype: 'f32' | 'bf16'): Promise<string> => {
  const result = await compared(op, dtype)
  assert.ok(result && 'refused' in result, JSON.stringify(result))
  return result.refused
}

if (devices().some(({ description }) => description.startsWith('Emulated')) && existsSync(standIn)) {
  test('what cannot be opened is a reason, and an op that is no product is not compared', async () => {
    library(join(folder, 'none.so'))
    assert.match((cublasOf(device('cuda:0')) as { reason: string }).reason, /^not found \(tried .*none\.so, which/)
    library(partial)
    assert.match((cublasOf(device('cuda:0')) as { reason: string }).reason, /cublas_partial\.so has no cublasGemmEx$/)
    library(standIn)
    assert.match((cublasOf(device('cuda:0')) as { name: string }).name, /^cuBLAS 13\.2\.1 \(/)
    assert.is(await compared('rmsNorm', 'f32'), null)
  })

  for (const op of ['linear', 'linearBackwardInput', 'linearBackwardWeight', 'matmul'])
    for (const dtype of ['f32', 'bf16'] as const)
      test(`${op} ${dtype} passes the conformance cases and is timed hot and cold`, async () => {
        library(standIn)
        const t = (await compared(op, dtype)) as CublasTiming
        assert.ok(t.p20 > 0 && t.p20 <= t.median && t.median <= t.p80 && t.cold.median > 0, JSON.stringify(t))
        assert.ok(t.ratio > 0 && t.coldRatio > 0 && Number.isFinite(t.ratio + t.coldRatio), JSON.stringify(t))
      })

  test('it runs in the order of the stream, into the outputs that it is given', async () => {
    library(standIn)
    const gpu = device('cuda:0')
    const [row] = await rowsOf(['linear'])
    const call = prepare(row!, shapes, gpu, 'f32')
    const ours = run(call)
    const [y] = Object.values(ours)
    const wanted = Array.from(await y!.toArray())
    run({ ...call, inputs: { ...call.inputs, x: call.inputs.x!.view([2, 24]) } }).y!.dispose()
    assert.is(runByCublas(call, ours).y, y)
    const squares = run({ ...call, inputs: { x: y!, w: y! } }).y! // reads what cuBLAS has queued
    const got = Array.from(await y!.toArray())
    assert.ok(got.every((x, i) => Math.abs(x - wanted[i]!) < 1e-5))
    const width = wanted.length / 12
    const first = wanted.slice(0, width).reduce((sum, x) => sum + x * x, 0)
    assert.ok(Math.abs((await squares.toArray())[0]! - first) < 1e-4 * first)
    squares.dispose()
    disposeAll({ ...call.inputs, ...ours })
  })

  test('a wrong answer is not timed, nor one that TF32 has rounded', async () => {
    library(standIn, 'wrong')
    assert.match(await refusal('linear', 'bf16'), /^linear, 1 rows, 1 by 1: y is off by .* plain bf16 by/)
    assert.match(await refusal('linearBackwardWeight', 'f32'), /dw is off by/)
    library(standIn, 'tf32')
    assert.match(await refusal('matmul', 'f32'), /c is off by/)
    assert.ok('ratio' in (await compared('matmul', 'bf16'))!)
  })

  test('a status that is no success is the reason, and the stream goes on', async () => {
    library(standIn, 'fails')
    assert.match(await refusal('matmul', 'f32'), /cublasGemmEx of cuBLAS: CUBLAS_STATUS_EXECUTION_FAILED \(13\)/)
    library(standIn)
    assert.ok('ratio' in (await compared('matmul', 'f32'))!)
  })

  test('what is no plain product is refused at once, and so is recording it', async () => {
    library(standIn)
    const gpu = device('cuda:0')
    const [linear] = await rowsOf(['linear'])
    const call = prepare(linear!, shapes, gpu, 'f32')
    const biased = { ...call, inputs: { ...call.inputs, bias: call.inputs.w!.view([32]) } }
    assert.throws(() => runByCublas(biased), /\[linear\] expected a product without bias and residual for cuBLAS/)
    const empty = { ...call, inputs: { ...call.inputs, x: call.inputs.x!.view([0, 24]) } }
    assert.throws(() => runByCublas(empty), /expected sizes from 1 to 2147483647 for cuBLAS, got 0/)
    native.beginRecording(gpu.index)
    assert.throws(() => runByCublas(call), /expected only ops while device cuda:0 records/)
    native.releaseRecording(native.endRecording(gpu.index))
    disposeAll(call.inputs)
  })
} else {
  test.skip('no library stands in for cuBLAS here, or the CUDA runtime is not the emulated one', () => {})
}

test.run()
