// Child of `callgrad doctor`: runs kernels of one device against plain float64 versions for a given time and prints the outcome
// as one line of JSON.
//
//   node self-test.js DEVICE SECONDS

import { fileURLToPath } from 'node:url'
import { type Device, device } from '../../tensor/device.js'
import { attention, linear, linearLogprob, packWeight, rmsNorm, sample, swiglu } from '../../tensor/ops.generated.js'
import { segmentTables } from '../../tensor/segments.js'
import { type DType, type Tensor, tensor } from '../../tensor/tensor.js'
import * as reference from './references.js'
import { type Matrix, numbers } from './references.js'

export interface SelfTest {
  device: string
  /** Largest error of each kernel, of the largest value. */
  results: { test: string; error: number; ok: boolean }[]
  /** Rounds that fitted into the time, all with the same bits. */
  rounds: number
  /** A [256, 1024] by [1024, 1024] product in each dtype, in 1e9 operations a second. */
  gflops: Record<string, number>
}

type Float = Extract<DType, 'f32' | 'bf16'>

const tolerance = { f32: 1e-4, bf16: 0.03 }

/** Rounded as the tensor rounds, so that only the kernel's arithmetic is compared. */
async function rounded(t: Tensor, { rows, columns }: Matrix): Promise<Matrix> {
  return { rows, columns, values: Float64Array.from(await t.toArray()) }
}

/** Each kernel on small inputs, with what it should give. */
async function cases(d: Device, dtype: Float) {
  const place = async (m: Matrix, shape = [m.rows, m.columns]): Promise<[Tensor, Matrix]> => {
    const t = tensor(m.values, shape, { device: d, dtype })
    return [t, await rounded(t, m)]
  }
  const [rows, width, heads, dim] = [37, 128, 4, 64]
  const [x, xValues] = await place(numbers(rows, width, 1))
  const [w, wValues] = await place(numbers(96, width, 2))
  const [scale, scaleValues] = await place(numbers(1, width, 3), [width])
  const [up, upValues] = await place(numbers(rows, width, 4))
  const [q, qValues] = await place(numbers(rows, heads * dim, 5), [rows, heads, dim])
  const [k, kValues] = await place(numbers(rows, dim, 6), [rows, 1, dim])
  const [v, vValues] = await place(numbers(rows, dim, 7), [rows, 1, dim])
  const targets = Int32Array.from({ length: rows }, (_, i) => (i * 5) % 96)
  const ids = tensor(targets, [rows], { device: d })
  const { segments, spans } = segmentTables([{ queries: [0, rows], keys: [0, rows], causalOffset: 0, spans: [] }], d)
  const logits = tensor(numbers(rows, 1000, 8).values, [rows, 1000], { device: d })
  const keys = tensor(new Int32Array(4 * rows), [rows, 4], { device: d })
  const positions = tensor(new Int32Array(rows), [rows], { device: d })
  return [
    { test: 'linear', want: reference.linear(xValues, wValues), run: () => linear(x, w) },
    { test: 'linear, packed', want: reference.linear(xValues, wValues), run: () => linear(x, packWeight(w)) },
    { test: 'rmsNorm', want: reference.rmsNorm(xValues, scaleValues, 1e-6), run: () => rmsNorm(x, scale).y },
    { test: 'swiglu', want: reference.swiglu(xValues, upValues), run: () => swiglu(x, up) },
    {
      test: 'attention',
      want: reference.attention(qValues, kValues, vValues, dim),
      run: () => attention(q, k, v, segments, spans).out,
    },
    {
      test: 'linearLogprob',
      want: reference.logprob(xValues, wValues, targets),
      run: () => linearLogprob(x, w, ids).logprob,
    },
    {
      test: 'sample',
      want: reference.argmax(numbers(rows, 1000, 8)),
      run: () => sample(logits, keys, positions, { temperature: 0 }).token,
    },
  ]
}

/** JSON has no infinity. */
const wrong = Number.MAX_VALUE

function largestError(got: ArrayLike<number>, want: Float64Array): number {
  const size = want.reduce((most, x) => Math.max(most, Math.abs(x)), 1)
  let error = got.length === want.length ? 0 : wrong
  for (let i = 0; i < want.length; i++) {
    const e = Math.abs(got[i]! - want[i]!) / size
    if (!(e <= error)) error = Number.isNaN(e) ? wrong : e
  }
  return error
}

/** Operations a second of a product, for at most `ms` milliseconds. */
async function speed(d: Device, dtype: Float, ms: number): Promise<number> {
  const [m, n, k] = [256, 1024, 1024]
  const x = tensor(numbers(m, k, 9).values, [m, k], { device: d, dtype })
  const w = packWeight(tensor(numbers(n, k, 10).values, [n, k], { device: d, dtype }))
  linear(x, w).dispose()
  await d.synchronize()
  let best = 0
  const end = performance.now() + ms
  do {
    const start = performance.now()
    for (let i = 0; i < 4; i++) linear(x, w).dispose()
    await d.synchronize()
    best = Math.max(best, (4 * 2 * m * n * k) / ((performance.now() - start) * 1e6))
  } while (performance.now() < end)
  return best
}

export async function selfTest(name: string, seconds: number): Promise<SelfTest> {
  const d = device(name)
  const end = performance.now() + seconds * 1000
  const results: SelfTest['results'] = []
  const first = new Map<string, string>()
  const prepared: [Float, Awaited<ReturnType<typeof cases>>][] = []
  for (const dtype of ['f32', 'bf16'] as const) prepared.push([dtype, await cases(d, dtype)])
  let rounds = 0
  do {
    for (const [dtype, list] of prepared) {
      for (const { test, want, run } of list) {
        const label = `${test} ${dtype}`
        const got = await run().toArray()
        const bits = got.join()
        if (rounds === 0) {
          const error = largestError(got, want.values)
          results.push({ test: label, error, ok: error <= tolerance[dtype] })
          first.set(label, bits)
        } else if (first.get(label) !== bits) results.push({ test: `${label}, again`, error: wrong, ok: false })
      }
    }
    rounds++
  } while (performance.now() < end - 1000 && results.every((r) => r.ok) && rounds < 1000)
  const gflops: Record<string, number> = {}
  // simt interprets threads: its time says nothing
  if (name !== 'simt') for (const dtype of ['f32', 'bf16'] as const) gflops[dtype] = await speed(d, dtype, 400)
  return { device: name, results, rounds, gflops }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await selfTest(process.argv[2]!, Number(process.argv[3]))))
}
