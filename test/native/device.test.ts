import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { device } from '../../lib/tensor/device.js'
import { native } from '../../lib/tensor/native.js'
import { add, attention, copy, decodeSlots, embedding, fill } from '../../lib/tensor/ops.generated.js'
import { record } from '../../lib/tensor/recording.js'
import { scope } from '../../lib/tensor/scope.js'
import { empty, tensor, write } from '../../lib/tensor/tensor.js'
import { testDevice } from '../support/device.js'

// What every device promises, whatever its kernels: memory, copies, order, errors, recordings.

const on = device(testDevice)
const place = { device: on }
const test = suite(`device ${on.name}`)

const ramp = (n: number, from = 0) => Float32Array.from({ length: n }, (_, i) => from + i)

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`
  }
  return 'no error'
}

test('what goes in comes out, also where it is longer than the staging memory', async () => {
  for (const n of [0, 1, 3, 1025, 700_001, 5_000_003]) {
    const data = ramp(n)
    const t = tensor(data, [n], place)
    assert.equal(await t.toArray(), data)
    t.dispose()
  }
})

test('rows that lie apart are read packed, also long ones', async () => {
  for (const [rows, width, stride] of [
    [5, 3, 7],
    [3000, 513, 600],
    [3, 700_000, 700_100],
  ] as const) {
    const whole = tensor(ramp(rows * stride), [rows, stride], place)
    const part = whole.view([rows, width], 2, stride)
    const got = await part.toArray()
    assert.is(got.length, rows * width)
    for (const r of [0, 1, rows - 1]) {
      const row = got.subarray(r * width, (r + 1) * width)
      assert.is(row[0], Math.fround(r * stride + 2))
      assert.is(row[width - 1], Math.fround(r * stride + width + 1))
    }
    whole.dispose()
    part.dispose()
  }
})

test('reads see what was queued before them and nothing that was queued after', async () => {
  const x = tensor([0, 0, 0], [3], place)
  const one = tensor([1, 1, 1], [3], place)
  const reads: Promise<Float32Array>[] = []
  for (let i = 0; i < 200; i++) {
    reads.push(x.toFloat32Array())
    add(x, one, { out: { y: x } })
  }
  const seen = await Promise.all(reads)
  assert.equal(
    seen.map((values) => values[2]),
    Array.from({ length: 200 }, (_, i) => i),
  )
})

test('a write reaches the ops behind it and not those before', async () => {
  const x = tensor([1, 2], [2], place)
  const before = add(x, x)
  write(x, Float32Array.of(10, 20))
  const after = add(x, x)
  assert.equal([...(await before.toArray())], [2, 4])
  assert.equal([...(await after.toArray())], [20, 40])
})

test('a value that does not fit is reported once, by the next await, in words of the op', async () => {
  const w = tensor(ramp(8), [4, 2], place)
  const ids = tensor(Int32Array.of(1, 9, 3, -5), [4], place)
  const y = embedding(w, ids)
  assert.match(await codeOf(y.toArray()), /^ERR_RANGE: \[embedding\] expected token ids in \[0, 4\), got 9 at row 1$/)
  assert.is(await codeOf(on.synchronize()), 'no error')
  const good = embedding(w, tensor(Int32Array.of(3), [1], place))
  assert.equal([...(await good.toArray())], [6, 7])
})

test('memory past the limit is refused at once with the figures; freed memory is given out again', async () => {
  const { limit, reserved } = on.memory()
  try {
    on.setMemoryLimit(reserved + (1 << 20))
    assert.throws(
      () => empty([1 << 28], place),
      (error: Error & { code: string }) =>
        error.code === 'ERR_MEMORY' && /wanted, \d+ in use by tensors/.test(error.message),
    )
  } finally {
    on.setMemoryLimit(limit)
  }
  const before = on.memory().reserved
  for (let i = 0; i < 50; i++) empty([1 << 20], place).dispose()
  assert.ok(on.memory().reserved <= before + (64 << 20))
  const held = on.memory()
  empty([40 << 20], place).dispose()
  assert.ok(on.trim() >= 160 << 20)
  assert.ok(on.memory().reserved <= held.reserved)
})

test('time is what the queued ops take, and an error among them is the await’s', async () => {
  const big = empty([1 << 20], place)
  await on.synchronize()
  const start = performance.now()
  const some = await on.time(() => {
    for (let i = 0; i < 20; i++) fill(big, { value: i })
  })
  const waited = (performance.now() - start) * 1000
  assert.ok(some > 0 && some <= waited, `${some} of ${waited} us`)
  const nothing = await on.time(() => {})
  assert.ok(nothing >= 0 && nothing < some, `${nothing} of ${some} us`)
  const ids = tensor(Int32Array.of(9), [1], place)
  assert.match(await codeOf(on.time(() => embedding(empty([3, 4], place), ids))), /^ERR_RANGE: .*embedding/)
  assert.ok((await on.time(() => {})) >= 0)
  assert.match(await codeOf(native.stopTimer(on.index)), /expected startTimer before stopTimer/)
  await on.synchronize()
})

test('what was recorded runs when it is replayed, on what its tensors hold then', async () => {
  const x = tensor([1, 2, 3], [3], place)
  const sum = tensor([0, 0, 0], [3], place)
  const ops = record(on, () => {
    const twice = add(x, x)
    add(sum, twice, { out: { y: sum } })
  })
  assert.equal([...(await sum.toArray())], [0, 0, 0])
  ops.replay()
  assert.equal([...(await sum.toArray())], [2, 4, 6])
  write(x, Float32Array.of(10, 0, 0))
  // memory that only the recording knows of must not be given to anybody else
  const others = scope(() => Array.from({ length: 20 }, () => tensor([7, 7, 7], [3], place)))
  ops.replay()
  ops.replay()
  assert.equal([...(await sum.toArray())], [42, 4, 6])
  for (const t of others) assert.equal([...(await t.toArray())], [7, 7, 7])
  ops.dispose()
  assert.throws(() => ops.replay(), /expected a live recording/)
})

test('a replay outlives the tensors it was recorded on', async () => {
  const into = tensor([0, 0], [2], place)
  const ops = scope(() => {
    const from = tensor([5, 6], [2], place)
    return record(on, () => copy(from, into))
  })
  for (let i = 0; i < 30; i++) fill(empty([2], place), { value: 99 })
  ops.replay()
  assert.equal([...(await into.toArray())], [5, 6])
  ops.dispose()
})

test('only ops are recorded', async () => {
  const x = tensor([1], [1], place)
  for (const act of [
    () => tensor([1], [1], place),
    () => write(x, [2]),
    () => x.toArray(),
    () => record(on, () => {}),
  ]) {
    let message = ''
    const ops = record(on, () => {
      try {
        const result: unknown = act()
        if (result instanceof Promise)
          result.catch((error: Error) => {
            message = error.message
          })
      } catch (error) {
        message = (error as Error).message
      }
    })
    await on.synchronize()
    assert.match(message, /expected only ops while device .* records/)
    ops.dispose()
  }
  assert.throws(
    () =>
      record(on, () => {
        throw new Error('mine')
      }),
    /mine/,
  )
  assert.equal([...(await add(x, x).toArray())], [2])
})

test('of many bad entries the first is reported, with all of its own numbers', async () => {
  const ints = (values: number[], width: number) =>
    tensor(Int32Array.from(values), [values.length / width, width], place)
  const n = 300 // more than a block has threads
  const bad = [293, 262, 131, 77, 38, 37]
  const x = empty([4, 1, 4], place)
  fill(x)
  const spans = Array.from({ length: n }, (_, i) => (bad.includes(i) ? [i, 1000 + i] : [0, 1])).flat()
  const segments = ints([0, 4, -1, 0, 0, n], 6)
  assert.match(
    await codeOf(attention(x, x, x, segments, ints(spans, 2)).out.toArray()),
    /^ERR_RANGE: \[attention\] expected spans inside \[0, 4\], got \[37, 1037\) at 37$/,
  )
  // row i has i + 1 tokens, all in one page, and those named have no page
  const pages = Array.from({ length: n }, (_, i) => (bad.includes(i) ? -1 - i : i))
  const lengths = tensor(
    Int32Array.from({ length: n }, (_, i) => i + 1),
    [n],
    place,
  )
  assert.match(
    await codeOf(decodeSlots(ints(pages, 1), lengths, { pageSize: n }).toArray()),
    /^ERR_RANGE: \[decodeSlots\] expected ownPages of row 37 to hold a page id for token 37, got -38$/,
  )
})

test('an error in a replay is the next await’s', async () => {
  const w = tensor(ramp(8), [4, 2], place)
  const ids = tensor(Int32Array.of(1), [1], place)
  const y = empty([1, 2], place)
  const ops = record(on, () => {
    embedding(w, ids, { out: { y } })
  })
  ops.replay()
  assert.equal([...(await y.toArray())], [2, 3])
  write(ids, Int32Array.of(4))
  ops.replay()
  assert.match(
    await codeOf(on.synchronize()),
    /^ERR_RANGE: \[embedding\] expected token ids in \[0, 4\), got 4 at row 0$/,
  )
  write(ids, Int32Array.of(2))
  ops.replay()
  assert.equal([...(await y.toArray())], [4, 5])
  ops.dispose()
})

test.run()
