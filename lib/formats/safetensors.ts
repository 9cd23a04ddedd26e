// Reading safetensors: 8 bytes little-endian header length, a JSON header, then the tensors' bytes back to back.
//
// Nothing in the header is believed: lengths are compared with the file's size before anything is allocated, every tensor's
// byte count must follow from its dtype and shape, and the tensors must tile the data without overlap or gap (as the
// format demands). Tensors are read one at a time; opening a file reads only its header.

import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { fail } from '../errors.js'
import { bfloatToFloat, halfToFloat } from './dtype.js'
import { number, openToRead, parseJsonObject, readExactly } from './io.js'

/** Bytes of one element. */
export const safetensorsItemBytes = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const

export type SafetensorsDtype = keyof typeof safetensorsItemBytes

export type SafetensorsData =
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array

/** One tensor of a header: `start` and `end` are absolute bytes of the file. */
export interface SafetensorsEntry {
  name: string
  dtype: SafetensorsDtype
  shape: number[]
  start: number
  end: number
}

/** The format's own limit. */
const maxHeaderBytes = 100_000_000

const isDtype = (value: unknown): value is SafetensorsDtype =>
  typeof value === 'string' && Object.hasOwn(safetensorsItemBytes, value)

/** Number of elements, or null where the shape is no list of non-negative integers or the product is not exact. */
export function elementCount(shape: unknown): number | null {
  if (!Array.isArray(shape)) return null
  let count = 1
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return null
    count *= size
    if (!Number.isSafeInteger(count)) return null
  }
  return count
}

function parseEntry(
  name: string,
  value: unknown,
  dataStart: number,
  fileBytes: number,
  where: string,
): SafetensorsEntry {
  const bad = (message: string): never => fail('Error', 'ERR_FORMAT', `${where}: tensor "${name}" ${message}`)
  if (typeof value !== 'object' || value === null) return bad('has no description')
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>
  if (!isDtype(dtype)) {
    return bad(`expected a dtype of ${Object.keys(safetensorsItemBytes).join(', ')}, got ${JSON.stringify(dtype)}`)
  }
  const count = elementCount(shape)
  if (count === null) return bad(`has the impossible shape ${JSON.stringify(shape)}`)
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0) ||
    offsets[0] > offsets[1]
  ) {
    return bad(`expected data_offsets [start, end], got ${JSON.stringify(offsets)}`)
  }
  const [start, end] = [dataStart + offsets[0], dataStart + offsets[1]]
  if (end > fileBytes) return bad(`ends at byte ${number(end)}, the file has ${number(fileBytes)}`)
  const bytes = count * safetensorsItemBytes[dtype]
  if (end - start !== bytes) {
    return bad(
      `of ${dtype} [${(shape as number[]).join(', ')}] needs ${number(bytes)} bytes, its offsets span ${number(end - start)}`,
    )
  }
  return { name, dtype, shape: shape as number[], start, end }
}

/** One open safetensors file. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    readonly entries: ReadonlyMap<string, SafetensorsEntry>,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly handle: FileHandle,
  ) {}

  /** Opens and checks the header. Errors: `ERR_IO` (cannot open), `ERR_FORMAT` (truncated, lying, not safetensors). */
  static async open(path: string): Promise<SafetensorsFile> {
    const where = `[safetensors] ${basename(path)}`
    const { handle, size } = await openToRead(path, where)
    try {
      if (size < 8) fail('Error', 'ERR_FORMAT', `${where}: expected at least 8 bytes, the file has ${number(size)}`)
      const prefix = Buffer.alloc(8)
      await readExactly(handle, prefix, 0, where)
      const claimed = prefix.readBigUInt64LE()
      if (claimed > BigInt(maxHeaderBytes) || claimed > BigInt(size - 8)) {
        fail(
          'Error',
          'ERR_FORMAT',
          `${where}: expected a header of at most ${number(Math.min(maxHeaderBytes, size - 8))} bytes, the file claims ${number(claimed)} (truncated, or not safetensors)`,
        )
      }
      const header = Buffer.alloc(Number(claimed))
      await readExactly(handle, header, 8, where)
      const { __metadata__: metadata, ...described } = parseJsonObject(header.toString('utf8'), `${where}: header`)
      const dataStart = 8 + header.byteLength
      const entries = new Map<string, SafetensorsEntry>()
      for (const [name, value] of Object.entries(described)) {
        entries.set(name, parseEntry(name, value, dataStart, size, where))
      }
      checkTiling([...entries.values()], dataStart, size, where)
      return new SafetensorsFile(path, entries, parseMetadata(metadata, where), handle)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The tensor as stored: F16 and BF16 as bit patterns in a Uint16Array, BOOL as bytes. */
  async read(name: string): Promise<SafetensorsData> {
    const entry = this.entry(name)
    const bytes = new Uint8Array(entry.end - entry.start)
    await readExactly(this.handle, bytes, entry.start, `[safetensors] ${basename(this.path)}: tensor "${name}"`)
    return view(entry.dtype, bytes.buffer)
  }

  /** The tensor as fp32, row-major; integers and fp64 are rounded to the nearest fp32. */
  async readFloat32(name: string): Promise<Float32Array> {
    const { dtype } = this.entry(name)
    const data = await this.read(name)
    if (data instanceof Float32Array) return data
    const out = new Float32Array(data.length)
    if (dtype === 'F16') halfToFloat(data as Uint16Array, out)
    else if (dtype === 'BF16') bfloatToFloat(data as Uint16Array, out)
    else for (let i = 0; i < out.length; i++) out[i] = Number(data[i]!)
    return out
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  private entry(name: string): SafetensorsEntry {
    return (
      this.entries.get(name) ??
      fail(
        'RangeError',
        'ERR_FORMAT',
        `[safetensors] ${basename(this.path)}: expected a tensor "${name}", the file has none`,
      )
    )
  }
}

function parseMetadata(value: unknown, where: string): Record<string, string> {
  if (value === undefined) return {}
  const valid =
    typeof value === 'object' && value !== null && Object.values(value).every((entry) => typeof entry === 'string')
  if (!valid) fail('Error', 'ERR_FORMAT', `${where}: expected __metadata__ to map text to text`)
  return value as Record<string, string>
}

/** Sorted by start, each tensor must begin where the one before ends, and the last end with the file. */
function checkTiling(entries: SafetensorsEntry[], dataStart: number, fileBytes: number, where: string): void {
  entries.sort((a, b) => a.start - b.start || a.end - b.end)
  let at = dataStart
  let before = 'the header'
  for (const { name, start, end } of entries) {
    if (start !== at) {
      const kind = start < at ? 'overlaps' : 'leaves a gap after'
      fail(
        'Error',
        'ERR_FORMAT',
        `${where}: tensor "${name}" starts at byte ${number(start)} and ${kind} ${before}, which ends at ${number(at)}`,
      )
    }
    at = end
    before = `"${name}"`
  }
  if (at !== fileBytes) {
    fail(
      'Error',
      'ERR_FORMAT',
      `${where}: expected the last tensor to end with the file at byte ${number(fileBytes)}, it ends at ${number(at)}`,
    )
  }
}

function view(dtype: SafetensorsDtype, buffer: ArrayBuffer): SafetensorsData {
  switch (dtype) {
    case 'F64':
      return new Float64Array(buffer)
    case 'I64':
      return new BigInt64Array(buffer)
    case 'U64':
      return new BigUint64Array(buffer)
    case 'F32':
      return new Float32Array(buffer)
    case 'I32':
      return new Int32Array(buffer)
    case 'U32':
      return new Uint32Array(buffer)
    case 'I16':
      return new Int16Array(buffer)
    case 'F16':
    case 'BF16':
    case 'U16':
      return new Uint16Array(buffer)
    case 'I8':
      return new Int8Array(buffer)
    case 'U8':
    case 'BOOL':
      return new Uint8Array(buffer)
  }
}
