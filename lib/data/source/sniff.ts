/** What a file is by its first bytes; its name may say something else. */
export type FileKind = 'lines' | 'list' | 'parquet'

/** Bytes that {@link sniff} looks at. */
export const sniffLength = 4096

const startsWith = (bytes: Uint8Array, ...magic: number[]) => magic.every((byte, i) => bytes[i] === byte)

/**
 * The kind of a file from its first bytes, or a text that says what it is instead of a data set. A JSON list begins with a bracket; a JSONL
 * record, being an object, never does.
 */
export function sniff(bytes: Uint8Array): { kind: FileKind } | { problem: string } {
  const wrong = (what: string, help: string) => ({ problem: `expected JSON, JSONL or parquet, got ${what}; ${help}` })
  if (bytes.length === 0) return { problem: 'expected JSON, JSONL or parquet, got an empty file' }
  if (startsWith(bytes, 0x50, 0x41, 0x52, 0x31)) return { kind: 'parquet' }
  if (startsWith(bytes, 0x1f, 0x8b)) return wrong('gzip data', 'unpack it first (gunzip)')
  if (startsWith(bytes, 0x28, 0xb5, 0x2f, 0xfd)) return wrong('zstd data', 'unpack it first (unzstd)')
  if (startsWith(bytes, 0x50, 0x4b, 0x03, 0x04)) return wrong('a zip archive', 'unpack it first')
  if (
    startsWith(bytes, 0xff, 0xfe) ||
    startsWith(bytes, 0xfe, 0xff) ||
    bytes[0] === 0 ||
    (bytes[1] === 0 && bytes.length > 1)
  )
    return wrong('UTF-16 or UTF-32 text, or a binary file', 'text has to be UTF-8')
  const start = new TextDecoder().decode(bytes.subarray(0, sniffLength)).trimStart()
  if (start.startsWith('version https://git-lfs'))
    return wrong('a Git LFS pointer, not the file it stands for', 'fetch it with "git lfs pull"')
  if (/^<(!doctype|html|\?xml)/i.test(start)) return wrong('a web page', 'was the download refused?')
  if (isSpreadObject(start))
    return wrong('one JSON object over several lines', 'give a JSON list of records ([…]), or one record a line')
  return { kind: start.startsWith('[') ? 'list' : 'lines' }
}

/**
 * A pretty-printed object: its first line ends inside of it and the second one goes on with a key or an end, or ends with a comma. A record
 * of a JSONL file that breaks off is followed by a line that begins with a brace and ends with one.
 */
function isSpreadObject(start: string): boolean {
  const [first = '', second = ''] = start.split('\n', 2)
  return /^\{(.*[{[,:])?\s*$/.test(first) && (/^\s*["}\]]/.test(second) || /,\s*$/.test(second))
}
