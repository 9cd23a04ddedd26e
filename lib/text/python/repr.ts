import { floatText } from '../json-print.js'
import { PyKey, PyOpaque, PyTuple, type PyValue } from './value.js'

/** Python's `repr`, byte for byte. */
export function pyRepr(value: PyValue): string {
  const out: string[] = []
  write(value, out)
  return out.join('')
}

function write(value: PyValue, out: string[]): void {
  if (typeof value === 'string') out.push(reprString(value))
  else if (value === null) out.push('None')
  else if (typeof value === 'boolean') out.push(value ? 'True' : 'False')
  else if (typeof value === 'bigint') out.push(String(value))
  else if (typeof value === 'number') out.push(reprFloat(value))
  else if (Array.isArray(value)) list('[', value, ']', out)
  else if (value instanceof PyTuple) list('(', value.items, value.items.length === 1 ? ',)' : ')', out)
  else if (value instanceof PyOpaque) out.push(value.repr)
  else {
    out.push('{')
    let first = true
    for (const [key, item] of value) {
      if (!first) out.push(', ')
      first = false
      write(key instanceof PyKey ? key.value : key, out)
      out.push(': ')
      write(item, out)
    }
    out.push('}')
  }
}

function list(open: string, items: readonly PyValue[], close: string, out: string[]): void {
  out.push(open)
  items.forEach((item, i) => {
    if (i > 0) out.push(', ')
    write(item, out)
  })
  out.push(close)
}

/** `float.__repr__`: `inf` and `nan` in its own spelling. */
export function reprFloat(x: number): string {
  if (Number.isFinite(x)) return floatText(x)
  return Number.isNaN(x) ? 'nan' : x > 0 ? 'inf' : '-inf'
}

const shortEscapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Categories that `str.isprintable` refuses: Other and Separator, the plain space excepted. */
const escaped = /[\\\n\r\t]|(?! )[\p{C}\p{Z}]/gu

/** `str.__repr__`: single quotes unless only they occur inside; what cannot be printed is escaped. */
function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const body = text.replace(escaped, (c) => shortEscapes[c] ?? hexEscape(c.codePointAt(0)!))
  return `${quote}${quote === "'" ? body.replaceAll("'", "\\'") : body}${quote}`
}

function hexEscape(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}
