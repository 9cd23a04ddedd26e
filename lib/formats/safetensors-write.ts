// Writing safetensors, one tensor in memory at a time, sharded above a size; every file is fsynced.

import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../errors.js'
import { floatToBfloat } from './dtype.js'
import { ioReason, number, writeFileSynced } from './io.js'
import { elementCount, type SafetensorsData, type SafetensorsDtype, safetensorsItemBytes } from './safetensors.js'

/** A tensor to write; `read` is called once, when its turn comes. A Float32Array is converted where `dtype` is BF16. */
export interface SafetensorsOutput {
  name: string
  dtype: SafetensorsDtype
  shape: readonly number[]
  read(): SafetensorsData | Promise<SafetensorsData>
}

const dataTypes: Record<SafetensorsDtype, new (buffer: ArrayBuffer) => SafetensorsData> = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
}

function byteLength(tensor: SafetensorsOutput): number {
  const count = elementCount(tensor.shape)
  if (count === null) {
    fail(
      'RangeError',
      'ERR_SHAPE',
      `[safetensors] tensor "${tensor.name}" has the impossible shape [${tensor.shape.join(', ')}]`,
    )
  }
  return count * safetensorsItemBytes[tensor.dtype]
}

/** Writes one file and fsyncs it. Tensors of wider elements come first, so that every tensor lies aligned. */
export async function writeSafetensors(
  path: string,
  tensors: readonly SafetensorsOutput[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = [...tensors].sort((a, b) => safetensorsItemBytes[b.dtype] - safetensorsItemBytes[a.dtype])
  const names = new Set<string>()
  const described: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : []
  let offset = 0
  for (const tensor of ordered) {
    if (names.has(tensor.name)) fail('Error', 'ERR_FORMAT', `[safetensors] tensor "${tensor.name}" is given twice`)
    names.add(tensor.name)
    const end = offset + byteLength(tensor)
    described.push([tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, end] }])
    offset = end
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(described)))
  const header = Buffer.alloc(8 + Math.ceil(json.byteLength / 8) * 8, 0x20)
  header.writeBigUInt64LE(BigInt(header.byteLength - 8))
  json.copy(header, 8)

  const handle = await open(path, 'w').catch((error) =>
    fail('Error', 'ERR_IO', `[safetensors] cannot write ${path}: ${ioReason(error)}`, error),
  )
  try {
    await handle.writeFile(header)
    for (const tensor of ordered) await handle.writeFile(await bytesOf(tensor))
    await handle.sync()
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('ERR_')) throw error
    fail('Error', 'ERR_IO', `[safetensors] cannot write ${path}: ${ioReason(error)}`, error)
  } finally {
    await handle.close()
  }
}

async function bytesOf(tensor: SafetensorsOutput): Promise<Uint8Array> {
  let data = await tensor.read()
  if (tensor.dtype === 'BF16' && data instanceof Float32Array) data = floatToBfloat(data)
  const expected = dataTypes[tensor.dtype]
  if (!(data instanceof expected)) {
    fail(
      'TypeError',
      'ERR_DTYPE',
      `[safetensors] tensor "${tensor.name}" of ${tensor.dtype} expected a ${expected.name}, got ${data.constructor.name}`,
    )
  }
  if (data.byteLength !== byteLength(tensor)) {
    fail(
      'RangeError',
      'ERR_SHAPE',
      `[safetensors] tensor "${tensor.name}" of shape [${tensor.shape.join(', ')}] got ${number(data.length)} elements`,
    )
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/**
 * Writes a model's tensors into `folder`: `model.safetensors`, or numbered shards and their index where the whole is larger
 * than `maxShardBytes`. A shard holds at least one tensor, however large.
 */
export async function writeModelSafetensors(
  folder: string,
  tensors: readonly SafetensorsOutput[],
  { maxShardBytes = 5e9 }: { maxShardBytes?: number } = {},
): Promise<void> {
  const shards: SafetensorsOutput[][] = [[]]
  let inShard = 0
  let total = 0
  for (const tensor of tensors) {
    const bytes = byteLength(tensor)
    if (inShard > 0 && inShard + bytes > maxShardBytes) {
      shards.push([])
      inShard = 0
    }
    shards.at(-1)!.push(tensor)
    inShard += bytes
    total += bytes
  }
  // transformers refuses files that do not say which framework's layout they follow.
  const metadata = { format: 'pt' }
  if (shards.length === 1) return writeSafetensors(join(folder, 'model.safetensors'), tensors, metadata)
  const map: Record<string, string> = {}
  const pad = (value: number) => String(value).padStart(5, '0')
  for (const [index, shard] of shards.entries()) {
    const name = `model-${pad(index + 1)}-of-${pad(shards.length)}.safetensors`
    await writeSafetensors(join(folder, name), shard, metadata)
    for (const tensor of shard) map[tensor.name] = name
  }
  const index = JSON.stringify({ metadata: { total_size: total }, weight_map: map }, null, 2)
  await writeFileSynced(join(folder, 'model.safetensors.index.json'), `${index}\n`)
}
