import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { causal, group } from '../../lib/conformance/attention-case.js'
import {
  attention,
  attentionBackward,
  copy as copyTensor,
  decodeAttention,
  decodeSlots,
  kvRead,
  kvWrite,
} from '../../lib/tensor/ops.generated.js'
import { type AttentionSegment, segmentTables } from '../../lib/tensor/segments.js'
import { empty, type Tensor } from '../../lib/tensor/tensor.js'
import { cpuTest, testDevice } from '../support/device.js'
import { ints, make, rowsOf, sameBits } from './attention-tensors.js'

// What the conformance rows cannot say: equal bits between training, prefill, chunked prefill and decode, and tables that are wrong.

const dtypes = ['f32', 'bf16'] as const

interface Heads {
  heads: number
  kvHeads: number
  dim: number
}

const shapes: Heads[] = [
  { heads: 9, kvHeads: 3, dim: 64 },
  { heads: 7, kvHeads: 1, dim: 20 },
  { heads: 2, kvHeads: 2, dim: 128 },
]

for (const dtype of dtypes) {
  for (const { heads, kvHeads, dim } of shapes) {
    cpuTest(
      `a decoded token has the bits of its row in training: ${dtype}, ${heads}/${kvHeads} heads of ${dim}`,
      async () => {
        const [prefix, lengths, pageSize] = [131, [1, 70, 66, 3], 16]
        const segments = group(prefix, lengths)
        const rows = prefix + lengths.reduce((a, b) => a + b, 0)
        const q = make([rows, heads, dim], 1, dtype)
        const k = make([rows, kvHeads, dim], 2, dtype)
        const v = make([rows, kvHeads, dim], 3, dtype)
        const tables = segmentTables(segments, testDevice)
        const trained = await rowsOf(attention(q, k, v, tables.segments, tables.spans).out)

        const prefixPages = Array.from({ length: Math.ceil(prefix / pageSize) }, (_, i) => 2 * i + 1)
        const ownWidth = Math.ceil(Math.max(...lengths) / pageSize)
        const firstOwn = 2 * prefixPages.length + 1
        const ownPages = lengths.flatMap((_, s) =>
          Array.from({ length: ownWidth }, (_, i) => firstOwn + i * lengths.length + s),
        )
        const kv = make([firstOwn + ownPages.length, 2, kvHeads, pageSize, dim], 4, dtype, (x) => x.fill(Number.NaN))
        const slotIn = (pages: number[], i: number) => pages[Math.floor(i / pageSize)]! * pageSize + (i % pageSize)
        kvWrite(
          k.rows(0, prefix),
          v.rows(0, prefix),
          kv,
          ints(Array.from({ length: prefix }, (_, i) => slotIn(prefixPages, i))),
        )

        const starts = segments.slice(1).map((s) => s.queries[0])
        for (let step = 0; step < Math.max(...lengths); step++) {
          // rows leave the batch as they end; every other step one of them is marked inactive instead
          const live = lengths.flatMap((n, s) => (step < n || (step % 2 === 0 && s === 0) ? [s] : []))
          const at = live.map((s) => starts[s]! + Math.min(step, lengths[s]! - 1))
          const active = live.map((s) => (step < lengths[s]! ? 0 : -1))
          const pages = ints(
            live.flatMap((s) => ownPages.slice(s * ownWidth, (s + 1) * ownWidth)),
            [live.length, ownWidth],
          )
          const own = ints(active.map((g) => (g < 0 ? 0 : step + 1)))
          const slots = decodeSlots(pages, own, { pageSize })
          const take = (x: Tensor) => {
            const all = empty([live.length, ...x.shape.slice(1)], { device: testDevice, dtype })
            at.forEach((t, i) => {
              copyRow(x, t, all, i)
            })
            return all
          }
          kvWrite(take(k), take(v), kv, slots)
          const prefixes = ints(prefixPages, [1, prefixPages.length])
          const out = await rowsOf(decodeAttention(take(q), kv, ints(active), prefixes, ints([prefix]), pages, own))
          at.forEach((t, i) => {
            if (active[i] === 0) sameBits(out(i), trained(t), `step ${step}, row ${i} of ${live.length}`)
            else
              assert.ok(
                out(i).every((x) => x === 0),
                'an inactive row gives 0',
              )
          })
        }
      },
    )

    test(`a prompt in chunks has the bits of the whole: ${dtype}, ${heads}/${kvHeads} heads of ${dim}`, async () => {
      const rows = 197
      const [q, k, v] = [
        make([rows, heads, dim], 5, dtype),
        make([rows, kvHeads, dim], 6, dtype),
        make([rows, kvHeads, dim], 7, dtype),
      ]
      const whole = segmentTables([causal(rows)], testDevice)
      const { out, lse } = attention(q, k, v, whole.segments, whole.spans)
      const [expected, expectedLse] = [await rowsOf(out), await rowsOf(lse)]
      for (const chunk of [1, 50, 64, 130]) {
        for (let begin = 0; begin < rows; begin += chunk) {
          const end = Math.min(rows, begin + chunk)
          const part: AttentionSegment = { queries: [0, end - begin], keys: [0, end], causalOffset: begin, spans: [] }
          const tables = segmentTables([part], testDevice)
          // keys and values that lie behind the chunk are not there yet
          const got = attention(q.rows(begin, end), k.rows(0, end), v.rows(0, end), tables.segments, tables.spans)
          sameBits(await got.out.toFloat32Array(), expected(begin, end), `rows ${begin} to ${end}`)
          sameBits(await got.lse.toFloat32Array(), expectedLse(begin, end), `lse of rows ${begin} to ${end}`)
          for (const t of [got.out, got.lse, tables.segments, tables.spans]) t.dispose()
        }
      }
    })
  }
}

for (const dtype of dtypes) {
  test(`a sample has the same bits whatever its group holds: ${dtype}`, async () => {
    for (const [heads, kvHeads, dim] of [
      [6, 2, 64],
      [7, 1, 128],
      [2, 2, 20],
    ] as const) {
      const [prefix, lengths] = [70, [9, 1, 30, 4, 22, 7, 3]]
      const segments = group(prefix, lengths)
      const rows = prefix + lengths.reduce((a, b) => a + b, 0)
      const [q, dOut] = [make([rows, heads, dim], 31, dtype), make([rows, heads, dim], 32, dtype)]
      const [k, v] = [make([rows, kvHeads, dim], 33, dtype), make([rows, kvHeads, dim], 34, dtype)]
      const run = async (list: AttentionSegment[]) => {
        const { segments, spans } = segmentTables(list, testDevice)
        const { out, lse } = attention(q, k, v, segments, spans)
        const { dq } = attentionBackward(q, k, v, out, lse, dOut, segments, spans)
        return { out: await rowsOf(out), lse: await rowsOf(lse), dq: await rowsOf(dq) }
      }
      const all = await run(segments)
      for (const s of segments) {
        const [begin, end] = s.queries
        const alone = await run([s])
        for (const name of ['out', 'lse', 'dq'] as const)
          sameBits(alone[name](begin, end), all[name](begin, end), `${name} of rows ${begin} to ${end}`)
      }
    }
  })
}

for (const dtype of dtypes) {
  test(`prefixes that begin with the same pages give the bits of copies of them: ${dtype}`, async () => {
    const [heads, kvHeads, dim] = [6, 2, 64]
    // Whole blocks of 64 keys, less than one, the end of a prefix inside of what is shared; rows that share more with the next than the last.
    // Three times, for batches that are cut into ranges of several groups also where there are more threads; the last three are one range.
    const [lengths, alike] = [
      [150, 333, 330, 100, 128, 40, 200, 210, 220],
      [4, 20, 6, 8, 2, 0, 12, 12],
    ]
    const rowGroup = [0, 1, 2].flatMap(() => [0, 1, 2, 2, 3, -1, 3, 4, 5, 1, 2, 6, 7, 8])
    for (const pageSize of [16, 24, 128]) {
      const width = Math.ceil(Math.max(...lengths) / pageSize)
      const total = lengths.length * width
      const kv = make([total + rowGroup.length, 2, kvHeads, pageSize, dim], 41, dtype)
      const apart = Array.from({ length: total }, (_, page) => page)
      const shared = apart.slice()
      for (const [g, count] of alike.entries()) {
        for (let i = (g + 1) * width; i < (g + 1) * width + Math.min(count, width); i++) {
          shared[i] = shared[i - width]!
          copyRow(kv, shared[i]!, kv, apart[i]!)
        }
      }
      const q = make([rowGroup.length, heads, dim], 42, dtype)
      const run = (pages: number[]) =>
        decodeAttention(
          q,
          kv,
          ints(rowGroup),
          ints(pages, [lengths.length, width]),
          ints(lengths),
          ints(
            rowGroup.map((_, r) => total + r),
            [rowGroup.length, 1],
          ),
          ints(rowGroup.map((_, r) => (r * 5) % pageSize)),
        ).toFloat32Array()
      sameBits(await run(shared), await run(apart), `pages of ${pageSize}`)
    }
  })
}

function copyRow(from: Tensor, row: number, to: Tensor, at: number): void {
  copyTensor(from.rows(row, row + 1), to.rows(at, at + 1))
}

test('tables that point outside are errors, not crashes', async () => {
  const [q, k] = [make([8, 2, 8], 1, 'f32'), make([10, 1, 8], 2, 'f32')]
  const bad: [segment: number[], spans: number[]][] = [
    [[0, 9, -1, 0, 0, 0], []],
    [[-1, 4, -1, 0, 0, 0], []],
    [[5, 4, -1, 0, 0, 0], []],
    [[0, 8, 3, 0, 0, 0], []],
    [[0, 8, 0, 3, 0, 0], []],
    [[0, 4, -2, 0, 0, 0], []],
    [[0, 4, 0, 2 ** 31 - 1, 0, 0], []],
    [[0, 4, -1, 0, 0, 1], []],
    [
      [0, 4, -1, 0, 1, 0],
      [0, 1],
    ],
    [
      [0, 4, -1, 0, 0, 1],
      [0, 11],
    ],
    [
      [0, 4, -1, 0, 0, 1],
      [-1, 3],
    ],
    [
      [0, 4, -1, 0, 0, 1],
      [4, 3],
    ],
    [[0, 4, -1, 0, 0, 0, 3, 8, -1, 0, 0, 0], []],
  ]
  for (const [segments, spans] of bad) {
    const tables = [ints(segments, [segments.length / 6, 6]), ints(spans, [spans.length / 2, 2])] as const
    await rejects('attention', () => attention(q, k, k, ...tables).out)
    const lse = make([8, 2], 3, 'f32')
    await rejects('attentionBackward', () => attentionBackward(q, k, k, q, lse, q, ...tables).dq)
  }
})

test('page tables that point outside are errors, not crashes', async () => {
  const q = make([1, 2, 8], 1, 'f32')
  const kv = make([4, 2, 1, 2, 8], 2, 'f32')
  const call = (change: Partial<Record<'group' | 'prefix' | 'prefixLen' | 'own' | 'ownLen', number>>) =>
    decodeAttention(
      q,
      kv,
      ints([change.group ?? 0]),
      ints([0, change.prefix ?? 1], [1, 2]),
      ints([change.prefixLen ?? 3]),
      ints([2, change.own ?? 3], [1, 2]),
      ints([change.ownLen ?? 3]),
    )
  assert.is((await call({}).toArray()).length, 16)
  for (const change of [
    { group: 1 },
    { group: -2 },
    { prefix: 4 },
    { prefix: -1 },
    { prefixLen: 5 },
    { prefixLen: -1 },
    { own: 4 },
    { own: -5 },
    { ownLen: 5 },
    { ownLen: -1 },
  ]) {
    await rejects('decodeAttention', () => call(change))
  }
  // an entry that no token reaches may hold anything
  assert.is((await call({ prefix: -1, prefixLen: 2, own: 99, ownLen: 1 }).toArray()).length, 16)
  for (const slot of [8, -2]) {
    await rejects('kvRead', () => kvRead(kv, ints([slot])).k)
    await rejects('kvWrite', () => {
      kvWrite(make([1, 1, 8], 1, 'f32'), make([1, 1, 8], 1, 'f32'), kv, ints([slot]))
      return kv
    })
  }
  await rejects('decodeSlots', () => decodeSlots(ints([0, 1], [1, 2]), ints([5]), { pageSize: 2 }))
  await rejects('decodeSlots', () => decodeSlots(ints([-1, 1], [1, 2]), ints([1]), { pageSize: 2 }))
})

async function rejects(op: string, call: () => Tensor): Promise<void> {
  try {
    await call().toArray()
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    assert.is(code, 'ERR_RANGE', message)
    assert.ok(message.startsWith(`[${op}] expected `), message)
    return
  }
  assert.unreachable(`${op} should have refused its tables`)
}

test('segments see their own keys only as far as there are any', () => {
  assert.throws(
    () => segmentTables([{ queries: [0, 4], keys: [2, 5], causalOffset: 0, spans: [] }], testDevice),
    /expected segment 0 to have own keys for 4 queries/,
  )
})

test.run()
