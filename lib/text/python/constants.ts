import { refuse } from './raise.js'
import { reprFloat } from './repr.js'
import { type PyDict, PyKey, PyOpaque, PyTuple, type PyValue } from './value.js'

/** What a literal of the source may be: a value, or `...`. */
export type Constant = PyValue | typeof ellipsis

export const ellipsis = Symbol('...')

/** Bytes; `text` has one character per byte, U+0000 to U+00FF. */
export class PyBytes extends PyOpaque {
  constructor(readonly text: string) {
    super('bytes', bytesRepr(text))
  }
}

export class PyComplex extends PyOpaque {
  constructor(
    readonly real: number,
    readonly imag: number,
  ) {
    super('complex', complexRepr(real, imag))
  }
}

const short: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function bytesRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const body = text.replace(/[\\']|[^ -~]/g, (c) => {
    if (c === "'") return quote === "'" ? "\\'" : c
    return short[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
  return `b${quote}${body}${quote}`
}

function complexRepr(real: number, imag: number): string {
  const part = (x: number) => reprFloat(x).replace(/\.0$/, '')
  if (Object.is(real, 0)) return `${part(imag)}j`
  const signed = imag < 0 || Object.is(imag, -0)
  return `(${part(real)}${signed ? '' : '+'}${part(imag)}j)`
}

/**
 * A dict with Python's keys: 1, 1.0 and True are one, and of equal keys the first spelling stays with the last value.
 *
 * Throws a PythonError for a list or a dict as key, also inside a tuple.
 */
export function pyDict(entries: Iterable<readonly [PyValue, PyValue]>): PyDict {
  const dict: PyDict = new Map()
  const keys = new Map<unknown, PyKey>()
  for (const [key, value] of entries) {
    if (typeof key === 'string') dict.set(key, value)
    else {
      const id = identity(key)
      const known = keys.get(id) ?? new PyKey(key)
      keys.set(id, known)
      dict.set(known, value)
    }
  }
  return dict
}

/** Equal, as keys of a `Map`, exactly where Python's `hash` and `==` are. */
function identity(key: PyValue): unknown {
  if (key === null || typeof key === 'bigint') return key
  if (typeof key === 'string') return `s${key}`
  if (typeof key === 'boolean') return BigInt(key)
  if (typeof key === 'number') return Number.isInteger(key) ? BigInt(key) : key
  if (key instanceof PyComplex && key.imag === 0) return identity(key.real)
  if (key instanceof PyOpaque) return `o${key.repr}`
  if (key instanceof PyTuple) return `t${JSON.stringify(key.items.map((item) => spelled(identity(item))))}`
  return refuse('an unhashable key')
}

const spelled = (id: unknown) => (typeof id === 'bigint' ? `i${id}` : typeof id === 'number' ? `f${id}` : id)
