import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SafetensorsFile } from '../../lib/formats/safetensors.js'
import { SafetensorsSet } from '../../lib/formats/safetensors-set.js'
import { type SafetensorsOutput, writeModelSafetensors, writeSafetensors } from '../../lib/formats/safetensors-write.js'
import { sharedPath } from '../support/shared.js'
import { inTemporaryFolder, rejection } from './support.js'

const every: SafetensorsOutput[] = [
  { name: 'bool', dtype: 'BOOL', shape: [3], read: () => Uint8Array.of(1, 0, 1) },
  { name: 'bytes', dtype: 'U8', shape: [2, 2], read: () => Uint8Array.of(0, 1, 254, 255) },
  { name: 'f64', dtype: 'F64', shape: [2], read: () => Float64Array.of(Math.PI, -1e300) },
  { name: 'half', dtype: 'F16', shape: [2], read: () => Uint16Array.of(0x3c00, 0xc000) },
  { name: 'bfloat', dtype: 'BF16', shape: [1, 2], read: () => Float32Array.of(1.5, -3) },
  { name: 'long', dtype: 'I64', shape: [2], read: () => BigInt64Array.of(-5n, 2n ** 40n) },
  { name: 'int', dtype: 'I32', shape: [2], read: () => Int32Array.of(-1, 2 ** 31 - 1) },
  { name: 'scalar', dtype: 'F32', shape: [], read: () => Float32Array.of(7.25) },
  { name: 'empty', dtype: 'F32', shape: [0, 4], read: () => new Float32Array(0) },
  { name: 'späte Zeile\n"x"', dtype: 'F32', shape: [2], read: async () => Float32Array.of(0.1, 0.2) },
]

test('what is written is read back, each type as stored and as fp32', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'all.safetensors')
    await writeSafetensors(path, every, { note: 'ä' })
    const file = await SafetensorsFile.open(path)
    assert.equal(file.metadata, { note: 'ä' })
    assert.is(file.entries.size, every.length)
    for (const { name, dtype, shape, read } of every) {
      const entry = file.entries.get(name)!
      assert.is(entry.dtype, dtype)
      assert.equal(entry.shape, [...shape])
      assert.is(entry.start % (entry.dtype === 'F64' || entry.dtype === 'I64' ? 8 : 1), 0)
      if (dtype !== 'BF16') assert.equal(await file.read(name), await read())
    }
    assert.equal(await file.read('bfloat'), Uint16Array.of(0x3fc0, 0xc040))
    assert.equal(await file.readFloat32('bfloat'), Float32Array.of(1.5, -3))
    assert.equal(await file.readFloat32('half'), Float32Array.of(1, -2))
    assert.equal(await file.readFloat32('long'), Float32Array.of(-5, 2 ** 40))
    assert.equal(await file.readFloat32('f64'), Float32Array.of(Math.fround(Math.PI), Number.NEGATIVE_INFINITY))
    assert.match((await rejection(file.read('nope'))).message, /expected a tensor "nope", the file has none/)
    await file.close()
  })
})

test('files of another writer are read', async () => {
  const path = sharedPath('parity/models/qwen3/model.safetensors')
  if (!path) return
  const file = await SafetensorsFile.open(path)
  assert.equal(file.metadata, { format: 'pt' })
  assert.equal(file.entries.get('model.norm.weight')?.shape, [72])
  assert.is((await file.readFloat32('model.norm.weight')).length, 72)
  await file.close()
})

test('shards: split by size, indexed, read as one', async () => {
  await inTemporaryFolder(async (folder) => {
    const tensors = [1, 2, 3, 4, 5].map((n) => ({
      name: `t${n}`,
      dtype: 'F32' as const,
      shape: [n, 10],
      read: () => new Float32Array(10 * n).fill(n),
    }))
    await writeModelSafetensors(folder, tensors, { maxShardBytes: 250 })
    const index = JSON.parse(await readFile(join(folder, 'model.safetensors.index.json'), 'utf8'))
    assert.is(index.metadata.total_size, 600)
    assert.equal(new Set(Object.values(index.weight_map)).size, 3)
    const set = await SafetensorsSet.open(folder)
    assert.equal(set.names.sort(), ['t1', 't2', 't3', 't4', 't5'])
    for (const { name, shape, read } of tensors) {
      assert.equal(set.entry(name)?.shape, shape)
      assert.equal(await set.readFloat32(name), read())
    }
    await set.close()
  })
})

test('an index that lies is one error that names tensor and file', async () => {
  const cases: [(map: Record<string, unknown>) => unknown, RegExp][] = [
    [(map) => ({ ...map, ghost: map.a }), /tensor "ghost" should be in .*, which does not hold it/],
    [(map) => ({ b: map.b }), /holds tensor "a", the index does not say so/],
    [
      (map) => ({ ...map, a: '../../etc/passwd' }),
      /tensor "a" expected a file name in this folder, got "..\/..\/etc\/passwd"/,
    ],
    [(map) => ({ ...map, a: 5 }), /tensor "a" expected a file name in this folder, got 5/],
    [(map) => ({ ...map, a: 'gone.safetensors' }), /cannot open .*gone.safetensors: it does not exist/],
    [() => 7, /expected "weight_map"/],
  ]
  for (const [change, expected] of cases) {
    await inTemporaryFolder(async (folder) => {
      const tensor = (name: string) => ({ name, dtype: 'F32' as const, shape: [4], read: () => new Float32Array(4) })
      await writeModelSafetensors(folder, [tensor('a'), tensor('b'), tensor('c')], { maxShardBytes: 32 })
      const path = join(folder, 'model.safetensors.index.json')
      const index = JSON.parse(await readFile(path, 'utf8'))
      await writeFile(path, JSON.stringify({ ...index, weight_map: change(index.weight_map) }))
      const error = await rejection(SafetensorsSet.open(folder))
      assert.match(error.message, expected)
      assert.match(error.message, /^\[safetensors\]/)
    })
  }
})

/** A file with this header and this many data bytes. */
async function fileOf(folder: string, header: unknown, dataBytes: number, headerLength?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const bytes = Buffer.alloc(8 + json.byteLength + dataBytes)
  bytes.writeBigUInt64LE(headerLength ?? BigInt(json.byteLength))
  json.copy(bytes, 8)
  const path = join(folder, 'x.safetensors')
  await writeFile(path, bytes)
  return path
}

const x = (entry: unknown) => ({ x: entry })
const lies: [string, unknown, number, RegExp, bigint?][] = [
  [
    'an offset past the end',
    x({ dtype: 'F32', shape: [4], data_offsets: [0, 16] }),
    8,
    /tensor "x" ends at byte \d+, the file has \d+/,
  ],
  [
    'fewer bytes than its shape',
    x({ dtype: 'F32', shape: [4], data_offsets: [0, 8] }),
    8,
    /tensor "x" of F32 \[4\] needs 16 bytes, its offsets span 8/,
  ],
  [
    'a negative offset',
    x({ dtype: 'F32', shape: [1], data_offsets: [-4, 0] }),
    0,
    /expected data_offsets \[start, end\]/,
  ],
  ['offsets the wrong way round', x({ dtype: 'U8', shape: [1], data_offsets: [2, 1] }), 2, /expected data_offsets/],
  ['three offsets', x({ dtype: 'U8', shape: [1], data_offsets: [0, 1, 2] }), 2, /expected data_offsets/],
  [
    'a size that overflows',
    x({ dtype: 'F32', shape: [2 ** 40, 2 ** 40], data_offsets: [0, 8] }),
    8,
    /has the impossible shape/,
  ],
  ['a negative size', x({ dtype: 'F32', shape: [-1], data_offsets: [0, 4] }), 4, /has the impossible shape \[-1\]/],
  ['a fractional size', x({ dtype: 'F32', shape: [1.5], data_offsets: [0, 6] }), 6, /has the impossible shape \[1.5\]/],
  ['an unknown dtype', x({ dtype: 'F7', shape: [1], data_offsets: [0, 4] }), 4, /expected a dtype of F64, .* got "F7"/],
  ['a dtype out of the prototype', x({ dtype: 'toString', shape: [1], data_offsets: [0, 4] }), 4, /expected a dtype/],
  ['no description', x(null), 0, /tensor "x" has no description/],
  [
    'tensors that overlap',
    { a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] }, b: { dtype: 'U8', shape: [4], data_offsets: [2, 6] } },
    6,
    /tensor "b" starts at byte \d+ and overlaps "a"/,
  ],
  [
    'a gap',
    { a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, b: { dtype: 'U8', shape: [1], data_offsets: [3, 4] } },
    4,
    /tensor "b" starts at byte \d+ and leaves a gap after "a"/,
  ],
  [
    'bytes behind the last tensor',
    x({ dtype: 'U8', shape: [1], data_offsets: [0, 1] }),
    5,
    /expected the last tensor to end with the file/,
  ],
  ['a header that is a list', [1], 0, /header: expected a JSON object, got a list/],
  ['a header that is no JSON', '{"x": ', 0, /header: expected JSON, got/],
  ['metadata that is no text', { __metadata__: { a: 1 } }, 0, /expected __metadata__ to map text to text/],
  ['a header longer than the file', {}, 0, /expected a header of at most 2 bytes, the file claims 1,000/, 1000n],
  ['a header of 2^63 bytes', {}, 0, /the file claims 9,223,372,036,854,775,808/, 2n ** 63n],
]
for (const [what, header, dataBytes, expected, length] of lies) {
  test(`a file with ${what} is refused`, async () => {
    await inTemporaryFolder(async (folder) => {
      const error = await rejection(SafetensorsFile.open(await fileOf(folder, header, dataBytes, length)))
      assert.match(error.message, expected)
      assert.match(error.message, /^\[safetensors\] x.safetensors/)
      assert.is(error.code, 'ERR_FORMAT')
    })
  })
}

test('a file cut at any byte is one clear error', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'whole.safetensors')
    await writeSafetensors(path, every)
    const bytes = await readFile(path)
    for (let length = 0; length < bytes.byteLength; length += length < 40 ? 1 : 13) {
      await writeFile(join(folder, 'cut.safetensors'), bytes.subarray(0, length))
      const error = await rejection(SafetensorsFile.open(join(folder, 'cut.safetensors')))
      assert.is(error.code, 'ERR_FORMAT', `${length}: ${error.message}`)
    }
  })
})

test('a file that shrinks after it was opened is an error of the read', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'shrinking.safetensors')
    await writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [100], read: () => new Float32Array(100) }])
    const file = await SafetensorsFile.open(path)
    await truncate(path, 300)
    assert.match(
      (await rejection(file.read('x'))).message,
      /tensor "x": expected 400 bytes at byte \d+, the file ended after \d+/,
    )
    await file.close()
  })
})

test('writing refuses what does not fit its description', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'bad.safetensors')
    const write = (tensor: Partial<SafetensorsOutput>) =>
      rejection(
        writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [2], read: () => new Float32Array(2), ...tensor }]),
      )
    assert.match((await write({ shape: [3] })).message, /tensor "x" of shape \[3\] got 2 elements/)
    assert.match((await write({ dtype: 'I32' })).message, /tensor "x" of I32 expected a Int32Array, got Float32Array/)
    assert.match((await write({ shape: [-2] })).message, /impossible shape/)
    const twice = { name: 'x', dtype: 'F32' as const, shape: [2], read: () => new Float32Array(2) }
    assert.match((await rejection(writeSafetensors(path, [twice, twice]))).message, /tensor "x" is given twice/)
  })
})

test('a full disk is said plainly', async () => {
  const tensor = { name: 'x', dtype: 'F32' as const, shape: [4], read: () => new Float32Array(4) }
  const error = await rejection(writeSafetensors('/dev/full', [tensor]))
  assert.is(error.message, '[safetensors] cannot write /dev/full: no space left on the device')
  assert.is(error.code, 'ERR_IO')
})

test('folders and missing files are said plainly', async () => {
  await inTemporaryFolder(async (folder) => {
    assert.match(
      (await rejection(SafetensorsFile.open(join(folder, 'no')))).message,
      /cannot open .*: it does not exist/,
    )
    assert.match((await rejection(SafetensorsFile.open(folder))).message, /expected a file, .* is not one/)
  })
})

test.run()
