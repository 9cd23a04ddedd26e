// Parquet files, read by windows of rows.
//
// A row group may be larger than the memory that a stream should take, so it is read in windows of about 32 MiB of its uncompressed size.
// Flat columns skip the pages before a window; nested ones are decoded anew for each window of a large row group.

import { type FileHandle, open } from 'node:fs/promises'
import type { AsyncBuffer, FileMetaData, SchemaTree } from 'hyparquet'
import { JsonNumber, type JsonObject, type JsonValue } from '../../text/json.js'
import { BadRecord } from '../problems.js'
import type { Batch, RawRecord } from './open.js'

const windowBytes = 32 * 2 ** 20

/** Records of a parquet file. Parts that cannot be read are records that cannot be read; a file without a usable footer is one of them. */
export async function* readParquet(path: string, size: number): AsyncGenerator<Batch> {
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet')
  const { compressors } = await import('hyparquet-compressors')
  const handle = await open(path)
  try {
    const file = bufferOf(handle, size)
    let metadata: FileMetaData
    try {
      metadata = await parquetMetadataAsync(file)
    } catch (error) {
      const problem = new BadRecord(
        'file',
        `the footer of the parquet file cannot be read: ${(error as Error).message}`,
      )
      yield { records: [failing(0, problem)], bytes: size }
      return
    }
    const columns = parquetSchema(metadata)
    const total = Number(metadata.num_rows)
    for (const [start, end] of windowsOf(metadata)) {
      let records: RawRecord[]
      try {
        const rows = await parquetReadObjects({ file, metadata, compressors, rowStart: start, rowEnd: end })
        records = rows.map((row, i) => ({ line: start + i + 1, read: () => toJson(row, columns) }))
      } catch (error) {
        const reason = `rows ${start + 1} to ${end} cannot be read: ${(error as Error).message}`
        records = [failing(start + 1, new BadRecord('file', reason))]
      }
      yield { records, bytes: Math.round((size * end) / Math.max(1, total)) }
    }
  } finally {
    await handle.close()
  }
}

const failing = (line: number, problem: BadRecord): RawRecord => ({
  line,
  read: () => {
    throw problem
  },
})

function bufferOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const bytes = new Uint8Array(Math.max(0, end - start))
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
      return bytes.buffer.slice(0, bytesRead)
    },
  }
}

/** Row ranges [start, end), each inside one row group. */
function* windowsOf(metadata: FileMetaData): Generator<[number, number]> {
  let first = 0
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows)
    const parts = Math.max(1, Math.ceil(Number(group.total_byte_size) / windowBytes))
    const step = Math.max(1, Math.ceil(rows / parts))
    for (let at = 0; at < rows; at += step) yield [first + at, first + Math.min(rows, at + step)]
    first += rows
  }
}

/**
 * A value of a row as JSON. The column's type decides whether a number is an integer or a float. Nulls inside a struct are left out: all
 * structs of a column have the union of their fields, so null is how parquet says "not there".
 */
function toJson(value: unknown, node: SchemaTree | undefined): JsonValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return new JsonNumber(String(value))
  if (typeof value === 'number') return numberOf(value, node)
  if (Array.isArray(value)) {
    const item = elementOf(node)
    return value.map((entry) => toJson(entry, item))
  }
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) throw new BadRecord('field', 'expected text in a column, got bytes')
  const record: JsonObject = new Map()
  const children = new Map(node?.children.map((child) => [child.element.name, child]))
  for (const [key, entry] of Object.entries(value as Record<string, unknown>))
    if (entry !== null && entry !== undefined) record.set(key, toJson(entry, children.get(key)))
  return record
}

function numberOf(value: number, node: SchemaTree | undefined): JsonNumber {
  if (!Number.isFinite(value)) throw new BadRecord('number', `expected finite numbers, got ${value}`)
  const type = node?.element.type
  const isFloat = type === 'DOUBLE' || type === 'FLOAT'
  return new JsonNumber(
    isFloat && Number.isInteger(value) ? `${value}.0`.replace(/e\+(\d+)\.0$/, 'e$1') : String(value),
  )
}

/** A list column is a group of a repeated group of the element; older writers leave out one level. */
function elementOf(node: SchemaTree | undefined): SchemaTree | undefined {
  const repeated = node?.children.length === 1 ? node.children[0] : undefined
  if (repeated?.element.repetition_type !== 'REPEATED') return node
  return repeated.children.length === 1 ? repeated.children[0] : repeated
}
