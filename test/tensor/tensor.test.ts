import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkpoint, Tape, Variable } from '../../lib/tensor/autograd.js'
import { device, devices } from '../../lib/tensor/device.js'
import { add, copy, fill, gatherRows, scatterRows } from '../../lib/tensor/ops.generated.js'
import { keep, scope } from '../../lib/tensor/scope.js'
import { empty, narrow, type Tensor, tensor, widen, write } from '../../lib/tensor/tensor.js'

const code = (expected: string) => (e: { code?: string }) => e.code === expected

test('a tensor returns what it was given, in each dtype', async () => {
  assert.equal([...(await tensor([1, 2, 3]).toArray())], [1, 2, 3])
  assert.equal([...(await tensor(Int32Array.of(-5, 7)).toArray())], [-5, 7])
  assert.equal([...(await tensor(Uint8Array.of(0, 255)).toArray())], [0, 255])
  assert.equal([...(await tensor([1.5, -2], [2], { dtype: 'bf16' }).toArray())], [1.5, -2])
  assert.is((await tensor([], [0, 4]).toArray()).length, 0)
})

test('bf16 rounds to nearest even and keeps NaN and infinity', () => {
  const values = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN, Infinity, -Infinity, -0)
  const back = widen(narrow(values))
  assert.equal([...back.slice(0, 3)], [1, 1, 1 + 2 ** -6])
  assert.ok(Number.isNaN(back[3]))
  assert.equal([...back.slice(4)], [Infinity, -Infinity, -0])
})

test('views share memory and cannot reach outside', async () => {
  const t = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 4])
  const middle = t.columns(1, 3)
  assert.equal([...(await middle.toArray())], [1, 2, 5, 6, 9, 10])
  fill(middle, { value: -1 })
  assert.equal([...(await t.rows(1, 2).toArray())], [4, -1, -1, 7])
  assert.throws(() => t.view([13]), code('ERR_RANGE'))
  assert.throws(() => t.view([3, 4], 1), code('ERR_RANGE'))
  assert.throws(() => t.view([2, 4], 0, 3), code('ERR_RANGE'))
  assert.throws(() => t.view([1], -1), code('ERR_RANGE'))
  assert.throws(() => t.view([1], 2 ** 60), code('ERR_RANGE'))
  // the view keeps the memory of a base that is gone
  t.dispose()
  fill(middle, { value: 3 })
  assert.equal([...(await middle.toArray())], [3, 3, 3, 3, 3, 3])
})

test('what is no array of numbers is an error, never NaN', () => {
  const any = (value: unknown) => value as number[]
  for (const data of [null, undefined, 5, 'abc', {}, { length: 2 }, [1, 'x'], [[1, 2]], [1n], new BigInt64Array(2)]) {
    assert.throws(() => tensor(any(data)), code('ERR_TYPE'))
    assert.throws(() => write(tensor([1, 2]), any(data)), code('ERR_TYPE'))
  }
  assert.throws(() => tensor([1.5], [1], { dtype: 'i32' }), code('ERR_RANGE'))
  assert.throws(() => tensor([2 ** 31], [1], { dtype: 'i32' }), code('ERR_RANGE'))
  assert.throws(() => tensor([300], [1], { dtype: 'u8' }), code('ERR_RANGE'))
  assert.throws(() => tensor([1], [1], null as unknown as object), code('ERR_TYPE'))
  assert.throws(() => empty([1], 'cpu' as unknown as object), code('ERR_TYPE'))
  assert.throws(() => tensor([1]).view(any(null)), code('ERR_SHAPE'))
  assert.throws(() => tensor([1]).reshape(any(undefined)), code('ERR_SHAPE'))
  assert.throws(() => write(null as unknown as Tensor, [1]), code('ERR_TYPE'))
})

test('disposed tensors, foreign objects and wrong shapes are errors with a code', () => {
  const a = tensor([1, 2])
  const gone = tensor([1, 2])
  gone.dispose()
  gone.dispose()
  assert.throws(() => add(a, gone), code('ERR_DISPOSED'))
  assert.throws(() => gone.view([1]), code('ERR_DISPOSED'))
  assert.throws(() => add(a, {} as Tensor), code('ERR_TYPE'))
  assert.throws(() => add(a, tensor([1])), code('ERR_SHAPE'))
  assert.throws(() => add(a, tensor(Int32Array.of(1, 2)) as Tensor), code('ERR_DTYPE'))
  assert.throws(() => tensor([1, 2], [3]), code('ERR_SHAPE'))
  assert.throws(() => tensor([], [-1]), code('ERR_SHAPE'))
  assert.throws(() => empty([2 ** 40, 2 ** 40]), /\[tensor\]/)
  assert.throws(() => device('tpu'), code('ERR_DEVICE'))
  assert.ok(devices().some((d) => d.name === 'cpu' && d.available))
})

test('a failing op rejects the next await once, by name, and the stream goes on', async () => {
  const x = tensor([1, 2], [2, 1])
  const bad = gatherRows(x, tensor(Int32Array.of(5)))
  const skipped = add(bad, bad)
  try {
    await skipped.toArray()
    assert.unreachable()
  } catch (error) {
    assert.is((error as { code: string }).code, 'ERR_RANGE')
    assert.match((error as Error).message, '[gatherRows]')
  }
  assert.equal([...(await add(x, x).toArray())], [2, 4])
})

test('out of memory is a synchronous error that names the figures, and nothing is lost', async () => {
  const d = device('cpu')
  const limit = d.memory().limit
  const x = tensor([1, 2, 3])
  d.setMemoryLimit(d.memory().reserved + 1024)
  try {
    assert.throws(() => empty([2 ** 30]), code('ERR_MEMORY'))
  } finally {
    d.setMemoryLimit(limit)
  }
  assert.equal([...(await x.toArray())], [1, 2, 3])
})

test('copy, gather and scatter', async () => {
  const x = tensor([0, 1, 10, 11, 20, 21], [3, 2])
  const rows = tensor(Int32Array.of(2, 0))
  assert.equal([...(await gatherRows(x, rows).toArray())], [20, 21, 0, 1])
  const into = tensor([0, 0, 0, 0, 0, 0], [3, 2])
  scatterRows(tensor([1, 2, 3, 4], [2, 2]), rows, into)
  assert.equal([...(await into.toArray())], [3, 4, 0, 0, 1, 2])
  const half = empty([3, 1], { dtype: 'bf16' })
  copy(x.columns(1, 2), half)
  assert.equal([...(await half.toArray())], [1, 11, 21])
})

test('a scope frees what it made, except what it returns, keeps or a tape retains', () => {
  const made: Tensor[] = []
  const make = () => {
    const t = tensor([made.length])
    made.push(t)
    return t
  }
  const kept = scope(() => {
    make() // freed
    keep(make()) // kept
    make().retain() // held until released
    return { inner: [make()] } // returned
  })
  assert.equal(
    made.map((t) => t.disposed),
    [true, false, false, false],
  )
  made[2]!.release()
  assert.is(made[2]!.disposed, true)
  kept.inner[0]!.dispose()
  made[1]!.dispose()
  assert.throws(() => scope(async () => make()), /synchronous/)
  assert.is(made[4]!.disposed, true)
  assert.throws(() =>
    scope(() => {
      make()
      throw new Error('inside')
    }),
  )
  assert.is(made[5]!.disposed, true)
})

test('scopes leave no tensors behind', async () => {
  const d = device('cpu')
  const a = tensor([1, 2, 3, 4])
  const before = d.memory()
  for (let i = 0; i < 1000; i++) {
    scope(() => {
      add(add(a, a), a)
    })
  }
  await d.synchronize()
  assert.is(d.memory().tensors, before.tensors)
  assert.is(d.memory().allocated, before.allocated)
})

/** y = 2 x, recorded: enough to see gradients flow and memory go. */
function double(x: Variable, tape: Tape | null): Variable {
  const y = new Variable(add(x.value, x.value))
  tape?.record([x.value], () => y.withGrad((dy) => x.accumulate(add(dy, dy))))
  return y
}

test('gradients flow back through a tape and through recomputation, bitwise alike, and free what was saved', async () => {
  const d = device('cpu')
  const x = tensor([1, -3])
  const seed = tensor([1, 10])
  const run = async (recompute: boolean) => {
    const input = new Variable(x)
    const tape = new Tape()
    scope(() => {
      const steps = (v: Variable, t: Tape | null) => double(double(v, t), t)
      const y = recompute ? checkpoint(tape, [input], ([v], t) => [steps(v!, t)])[0]! : steps(input, tape)
      y.accumulate(seed)
      tape.backward()
    })
    let result: number[] = []
    const pending: Promise<unknown>[] = []
    input.withGrad((g) => {
      pending.push(g.toArray().then((a) => (result = [...a])))
    })
    await Promise.all(pending)
    return result
  }
  const before = d.memory().tensors
  assert.equal(await run(false), [4, 40])
  assert.equal(await run(true), [4, 40])
  assert.is(d.memory().tensors, before)
})

test.run()
