// The header of a GGUF file (versions 2 and 3, little endian): metadata, then where each tensor lies.
//
// Our own reader, because `@huggingface/gguf` is made to look into remote files: read over a local file it fills what is
// missing at a truncated end with zeros, cuts strings at its chunk's edge without an error, lets a later key replace an
// earlier one, and checks no tensor against the file. Here every count is compared with the bytes that are left before
// anything is allocated, so a file of N bytes can cost no more than O(N), whatever its counts claim.

import type { FileHandle } from 'node:fs/promises'
import { fail } from '../errors.js'
import { type GgmlType, ggmlTypeName, ggmlTypes } from './gguf-dequantize.js'
import { number, readExactly } from './io.js'

/** A metadata value; 64-bit integers are numbers where exact, bigints otherwise. */
export type GgufValue = number | bigint | boolean | string | GgufValue[]

export interface GgufTensor {
  name: string
  type: GgmlType
  /** Row-major, as Hugging Face writes it: the reverse of the file's order. */
  shape: number[]
  /** Absolute bytes of the file. */
  start: number
  end: number
}

export interface GgufHeader {
  version: number
  metadata: Map<string, GgufValue>
  tensors: Map<string, GgufTensor>
}

/** Bytes of the scalar metadata types by number; 8 is a string, 9 an array. */
const scalarBytes: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }
const stringType = 8
const arrayType = 9

/** A header is read whole; the largest known (a vocabulary of 256,000 with its merges) has 20 MB. */
const maxHeaderBytes = 512 * 2 ** 20

/** More bytes of the file are needed than have been read so far. */
class NeedMore extends Error {}

/** Walks the bytes at the start of a file; `size` is the whole file's. */
class Cursor {
  at = 0
  constructor(
    private readonly bytes: Buffer,
    private readonly size: number,
    readonly where: string,
  ) {}

  bad(message: string): never {
    fail('Error', 'ERR_FORMAT', `${this.where}: ${message}`)
  }

  /** Checks that `count` items of at least `each` bytes can follow, and returns the count as a number. */
  count(count: bigint, each: number, what: string): number {
    const left = this.size - this.at
    if (count * BigInt(each) > BigInt(left)) {
      this.bad(
        `${what} claims ${number(count)}, at byte ${number(this.at)} the file has ${number(left)} bytes left (truncated or corrupt)`,
      )
    }
    return Number(count)
  }

  private take(bytes: number): number {
    const start = this.at
    if (start + bytes > this.size)
      this.bad(`the header ends at byte ${number(this.size)}, in the middle of a value (truncated)`)
    if (start + bytes > this.bytes.byteLength) throw new NeedMore()
    this.at += bytes
    return start
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.take(4))
  }

  u64(): bigint {
    return this.bytes.readBigUInt64LE(this.take(8))
  }

  string(what: string): string {
    const length = this.count(this.u64(), 1, `the length of ${what}`)
    const start = this.take(length)
    return this.bytes.toString('utf8', start, start + length)
  }

  scalar(type: number): GgufValue {
    const { bytes } = this
    const start = this.take(scalarBytes[type]!)
    switch (type) {
      case 0:
        return bytes.readUInt8(start)
      case 1:
        return bytes.readInt8(start)
      case 2:
        return bytes.readUInt16LE(start)
      case 3:
        return bytes.readInt16LE(start)
      case 4:
        return bytes.readUInt32LE(start)
      case 5:
        return bytes.readInt32LE(start)
      case 6:
        return bytes.readFloatLE(start)
      case 7:
        return bytes[start] !== 0
      case 10:
        return exact(bytes.readBigUInt64LE(start))
      case 11:
        return exact(bytes.readBigInt64LE(start))
      default:
        return bytes.readDoubleLE(start)
    }
  }

  value(type: number, key: string, depth = 0): GgufValue {
    if (type === stringType) return this.string(`"${key}"`)
    if (type !== arrayType) {
      if (scalarBytes[type] === undefined) this.bad(`metadata "${key}" has the unknown type ${type}`)
      return this.scalar(type)
    }
    if (depth === 4) this.bad(`metadata "${key}" nests lists deeper than 4`)
    const of = this.u32()
    const each = of === stringType ? 8 : of === arrayType ? 12 : scalarBytes[of]
    if (each === undefined) this.bad(`metadata "${key}" is a list of the unknown type ${of}`)
    const length = this.count(this.u64(), each, `the list "${key}"`)
    const values: GgufValue[] = []
    for (let i = 0; i < length; i++) values.push(this.value(of, key, depth + 1))
    return values
  }
}

const exact = (value: bigint): number | bigint =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value

/** Reads the header; `ERR_FORMAT` says what is wrong with a file that is none, or lies. */
export async function readGgufHeader(handle: FileHandle, size: number, where: string): Promise<GgufHeader> {
  const limit = Math.min(size, maxHeaderBytes)
  for (let length = Math.min(limit, 8 * 2 ** 20); ; length = Math.min(limit, length * 4)) {
    const bytes = Buffer.allocUnsafe(length)
    await readExactly(handle, bytes, 0, where)
    try {
      return parseHeader(new Cursor(bytes, size, where), size)
    } catch (error) {
      if (!(error instanceof NeedMore)) throw error
      if (length === limit) {
        fail(
          'Error',
          'ERR_FORMAT',
          `${where}: expected a header of at most ${number(maxHeaderBytes)} bytes, this one is longer`,
        )
      }
    }
  }
}

function parseHeader(cursor: Cursor, size: number): GgufHeader {
  if (size < 24) cursor.bad(`expected at least 24 bytes, the file has ${number(size)}`)
  if (cursor.u32() !== 0x46554747) cursor.bad('expected a file that starts with "GGUF"')
  const version = cursor.u32()
  if ((version & 0xffff) === 0) cursor.bad('expected little-endian GGUF, this file is big-endian')
  if (version !== 2 && version !== 3) cursor.bad(`expected GGUF version 2 or 3, got ${version}`)
  // A tensor takes at least 24 bytes of header, a key 13.
  const tensorCount = cursor.count(cursor.u64(), 24, 'the number of tensors')
  const keyCount = cursor.count(cursor.u64(), 13, 'the number of metadata keys')

  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string('a metadata key')
    if (metadata.has(key)) cursor.bad(`metadata "${key}" is given twice`)
    metadata.set(key, cursor.value(cursor.u32(), key))
  }
  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment !== 'number' || alignment < 8 || alignment > 2 ** 20 || (alignment & (alignment - 1)) !== 0) {
    cursor.bad(`metadata "general.alignment" expected a power of two from 8 to 1,048,576, got ${String(alignment)}`)
  }
  const described = Array.from({ length: tensorCount }, () => readTensorInfo(cursor))
  const dataStart = Math.ceil(cursor.at / alignment) * alignment
  return { version, metadata, tensors: placeTensors(described, dataStart, alignment, size, cursor) }
}

interface TensorInfo {
  name: string
  type: number
  shape: bigint[]
  offset: bigint
}

function readTensorInfo(cursor: Cursor): TensorInfo {
  const name = cursor.string('a tensor name')
  const dimensions = cursor.u32()
  if (dimensions < 1 || dimensions > 4) cursor.bad(`tensor "${name}" expected 1 to 4 dimensions, got ${dimensions}`)
  const shape = Array.from({ length: dimensions }, () => cursor.u64()).reverse()
  return { name, shape, type: cursor.u32(), offset: cursor.u64() }
}

function placeTensors(
  described: TensorInfo[],
  dataStart: number,
  alignment: number,
  fileBytes: number,
  cursor: Cursor,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>()
  for (const { name, type, shape, offset } of described) {
    if (tensors.has(name)) cursor.bad(`tensor "${name}" is described twice`)
    const known = ggmlTypes[type as GgmlType]
    if (known === undefined) {
      const readable = Object.values(ggmlTypes).map((entry) => entry.name)
      cursor.bad(`tensor "${name}" expected one of the types ${readable.join(', ')}, got ${ggmlTypeName(type)}`)
    }
    const row = shape.at(-1)!
    if (row % BigInt(known.elements) !== 0n) {
      cursor.bad(
        `tensor "${name}" of ${known.name} expected rows of a multiple of ${known.elements}, got ${number(row)}`,
      )
    }
    // BigInt throughout: four dimensions of 2^63 must not wrap into something that fits.
    const elements = shape.reduce((product, length) => product * length, 1n)
    const start = BigInt(dataStart) + offset
    const end = start + (elements / BigInt(known.elements)) * BigInt(known.bytes)
    if (end > BigInt(fileBytes))
      cursor.bad(`tensor "${name}" ends at byte ${number(end)}, the file has ${number(fileBytes)}`)
    if (offset % BigInt(alignment) !== 0n)
      cursor.bad(`tensor "${name}" expected an offset that is a multiple of ${alignment}, got ${number(offset)}`)
    tensors.set(name, {
      name,
      type: type as GgmlType,
      shape: shape.map(Number),
      start: Number(start),
      end: Number(end),
    })
  }
  const ordered = [...tensors.values()].sort((a, b) => a.start - b.start)
  for (let i = 1; i < ordered.length; i++) {
    const [before, after] = [ordered[i - 1]!, ordered[i]!]
    if (after.start < before.end) {
      cursor.bad(
        `tensor "${after.name}" starts at byte ${number(after.start)}, inside "${before.name}", which ends at ${number(before.end)}`,
      )
    }
  }
  return tensors
}
