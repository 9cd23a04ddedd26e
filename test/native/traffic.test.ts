// What kernels ask of a GPU's memory, counted by the checked emulator: memory traffic of the ops that it limits, the traffic of tiles, bank
// conflicts in main loops, and what a shared prefix saves. `npx callgrad bench ops --device simt` prints the same for all ops.

import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { costOf, disposeAll, type OpCall, prepare } from '../../lib/cli/bench/op-call.js'
import { countCall } from '../../lib/cli/bench/op-counters.js'
import { emulatedShapes, Maker, type OpShapes, range } from '../../lib/conformance/bench.js'
import { opNamed } from '../../lib/conformance/harness.js'
import { conformanceRows } from '../../lib/conformance/rows.js'
import { attentionTraffic, productTraffic } from '../../lib/conformance/tiling.js'
import { device, devices } from '../../lib/tensor/device.js'

process.env.CALLGRAD_SIMT = 'checked' // the fast build sees no memory accesses

const available = devices().find(({ name }) => name === 'simt')?.available
const simtTest = available ? test : test.skip
const shapes: OpShapes = { ...emulatedShapes, rows: 192, parameters: 2 ** 16, intermediate: 192, vocab: 512 }

async function counted(op: string, dtype: 'f32' | 'bf16') {
  const row = (await conformanceRows()).get(op)!
  const simt = device('simt')
  const call = prepare(row, shapes, simt, dtype)
  const counters = await countCall(call, simt, { ...costOf(call, simt), tiles: row.bench.tiles?.(shapes) })
  disposeAll(call.inputs)
  return counters
}

async function countedCall(op: string, inputs: (m: Maker) => OpCall['inputs']) {
  const simt = device('simt')
  const call: OpCall = { op: opNamed(op), inputs: inputs(new Maker(simt, 'bf16')), attrs: {} }
  const counters = await countCall(call, simt, { bytes: 0, flops: 0 })
  disposeAll(call.inputs)
  return counters
}

/** Each of their elements once. */
const limitedByMemory = [
  'add',
  'copy',
  'rmsNorm',
  'rmsNormBackward',
  'swiglu',
  'swigluBackward',
  'rope',
  'embedding',
  'embeddingBackward',
  'sumSquares',
  'scale',
  'grpoLoss',
  'adamw',
]
for (const op of limitedByMemory) {
  simtTest(`${op} moves at most 1.05 times the least bytes`, async () => {
    for (const dtype of (await conformanceRows()).get(op)!.bench.dtypes) {
      const { movedOverLeast } = await counted(op, dtype)
      assert.ok(movedOverLeast > 0.5 && movedOverLeast <= 1.05, `${dtype}: ${movedOverLeast}`)
    }
  })
}

simtTest('attention asks for at most 1.25 times what its tiles hold, without bank conflicts', async () => {
  const { kernels, askedOverTiles } = await counted('attention', 'bf16')
  const main = kernels.find((k) => k.kernel === 'attention')!
  assert.ok(askedOverTiles! > 0.9 && askedOverTiles! <= 1.1, `${askedOverTiles}`) // aimed at: 1.25
  assert.is(main.sharedWaves, main.sharedLeast)
})

simtTest('attention and its gradients write whole sectors', async () => {
  for (const op of ['attention', 'attentionBackward']) {
    const { kernels } = await counted(op, 'bf16')
    for (const k of kernels.filter(({ mma }) => mma > 0))
      assert.ok(k.writeSectors <= 1.1 * k.writeUnique, `${k.kernel}: ${k.writeSectors} of ${k.writeUnique} sectors`)
  }
})

simtTest('short samples read their prefix once for a tile of them, long ones as often as apart', async () => {
  const shape = { heads: 3, kvHeads: 1, headDim: 64 }
  const prefix = 200
  /** Samples after their prompt; told apart, each names its spans for itself, and no tile is shared. */
  const both = async (samples: number, each: number, shared: boolean) => {
    const rows = prefix + samples * each
    const own = (i: number) => [prefix + i * each, prefix + (i + 1) * each, prefix + i * each, 0]
    const segments = range(samples).map((i) => [...own(i), ...(shared ? [0, 1] : [i, i + 1])])
    const inputs = (m: Maker) => {
      const [q, kv] = [[rows, shape.heads, shape.headDim] as number[], [rows, shape.kvHeads, shape.headDim] as number[]]
      return {
        qkv: { q: m.normal(q), k: m.normal(kv), v: m.normal(kv) },
        tables: {
          segments: m.integers([0, prefix, 0, 0, 0, 0, ...segments.flat()], [samples + 1, 6]),
          spans: m.integers(
            range(samples).flatMap(() => [0, prefix]),
            [samples, 2],
          ),
        },
      }
    }
    const forward = await countedCall('attention', (m) => {
      const { qkv, tables } = inputs(m)
      return { ...qkv, ...tables }
    })
    const backward = await countedCall('attentionBackward', (m) => {
      const { qkv, tables } = inputs(m)
      const [out, dOut] = [m.normal(qkv.q.shape.slice()), m.normal(qkv.q.shape.slice())]
      const lse = m.normal([rows, shape.heads], 'f32')
      return { ...qkv, out, lse, dOut, ...tables }
    })
    const parts = [{ rows: prefix, prefix: 0 }, ...range(samples).map(() => ({ rows: each, prefix }))]
    return { forward, backward, tiles: attentionTraffic(parts, shape, { shared }) }
  }
  const [short, apart] = [await both(8, 10, true), await both(8, 10, false)]
  for (const { forward, tiles } of [short, apart])
    assert.ok(forward.asked > 0.95 * tiles && forward.asked <= 1.25 * tiles, `${forward.asked / tiles}`)
  assert.ok(short.tiles < 0.8 * apart.tiles, `${short.tiles} of ${apart.tiles}`) // the rest is the prompt's own tiles
  const less = short.backward.asked / apart.backward.asked
  assert.ok(less < 0.9, `${less}`)
  const [long, longApart] = [await both(3, 60, true), await both(3, 60, false)]
  assert.is(long.tiles, longApart.tiles)
  for (const pass of ['forward', 'backward'] as const) {
    assert.ok(long[pass].mma <= longApart[pass].mma)
    assert.ok(long[pass].asked <= 1.002 * longApart[pass].asked) // the tables
  }
})

simtTest('a product asks for what its tiles hold, and its main loop has no bank conflict', async () => {
  const product = (k: number) => countedCall('linear', (m) => ({ x: m.normal([192, k]), w: m.normal([128, k]) }))
  const [short, long] = [await product(64), await product(192)]
  for (const [k, { asked }] of [
    [64, short],
    [192, long],
  ] as const) {
    // biome-ignore format: one line
    const tiles = productTraffic(192, 128, k)
    assert.ok(Math.abs(asked / tiles - 1) <= 0.01, `depth ${k}: ${asked} bytes, tiles ${tiles}`)
  }
  assert.ok(long.sharedPasses > short.sharedPasses)
  assert.is(long.bankConflicts, short.bankConflicts) // those of writing the result: more depth adds none
})

simtTest('a prefix that eight sequences share is read once', async () => {
  const [group, prefix, own, pageSize] = [8, 2048, 128, 32]
  const [pages, ownPages] = [prefix / pageSize, own / pageSize]
  const table = (m: Maker, rows: number, width: number, from: number) =>
    m.integers(
      range(rows * width).map((i) => from + i),
      [rows, width],
    )
  const lengths = (m: Maker, n: number, each: number) => m.integers(new Int32Array(n).fill(each))
  const decode = (shared: boolean) =>
    countedCall('decodeAttention', (m) => ({
      q: m.normal([group, 3, 64]),
      kv: m.normal([shared ? pages + group * ownPages : group * (pages + ownPages), 2, 1, pageSize, 64]),
      rowGroup: shared ? lengths(m, group, 0) : m.integers(range(group)),
      prefixPages: shared ? table(m, 1, pages, 0) : m.integers([], [group, 0]),
      prefixLens: lengths(m, shared ? 1 : group, shared ? prefix : 0),
      ownPages: shared ? table(m, group, ownPages, pages) : table(m, group, pages + ownPages, 0),
      ownLens: lengths(m, group, shared ? own : prefix + own),
    }))
  const [together, apart] = [await decode(true), await decode(false)]
  assert.ok(together.moved <= 0.2 * apart.moved, `moved ${together.moved} of ${apart.moved}`)
})

if (!available) console.log('traffic: this build has no simt')
test.run()
