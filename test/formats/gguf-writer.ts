// Writes GGUF bytes for tests, lies included: every count and offset can be overridden.

/** A metadata value with its type: `u32`, `f32`, `bool`, text, or a list of text or of i32. */
export type Meta = { u32: number } | { f32: number } | { bool: boolean } | string | string[] | number[]

export interface WrittenTensor {
  name: string
  /** Row-major; written in the file's reversed order. */
  shape: (number | bigint)[]
  type: number
  data: Uint8Array
  offset?: bigint
}

export interface WrittenFile {
  metadata?: [string, Meta][]
  tensors?: WrittenTensor[]
  magic?: string
  version?: number
  tensorCount?: bigint
  keyCount?: bigint
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])
const f32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}
const i32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

function value(meta: Meta): Buffer {
  if (typeof meta === 'string') return Buffer.concat([u32(8), text(meta)])
  if (Array.isArray(meta)) {
    const strings = typeof meta[0] === 'string'
    const items = meta.map((item) => (typeof item === 'string' ? text(item) : i32(item)))
    return Buffer.concat([u32(9), u32(strings ? 8 : 5), u64(meta.length), ...items])
  }
  if ('u32' in meta) return Buffer.concat([u32(4), u32(meta.u32)])
  if ('f32' in meta) return Buffer.concat([u32(6), f32(meta.f32)])
  return Buffer.concat([u32(7), Buffer.of(meta.bool ? 1 : 0)])
}

const padded = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.byteLength % 32)) % 32)])

/** The bytes of a file. */
export function ggufBytes(file: WrittenFile): Buffer {
  const { metadata = [], tensors = [] } = file
  const parts = [
    Buffer.from(file.magic ?? 'GGUF'),
    u32(file.version ?? 3),
    u64(file.tensorCount ?? tensors.length),
    u64(file.keyCount ?? metadata.length),
  ]
  for (const [key, meta] of metadata) parts.push(text(key), value(meta))
  let offset = 0
  for (const tensor of tensors) {
    parts.push(text(tensor.name), u32(tensor.shape.length), ...[...tensor.shape].reverse().map(u64))
    parts.push(u32(tensor.type), u64(tensor.offset ?? BigInt(offset)))
    offset += padded(tensor.data).byteLength
  }
  return Buffer.concat([padded(Buffer.concat(parts)), ...tensors.map((tensor) => padded(tensor.data))])
}
