import type { JsonValue } from './json.js'
import { printJson } from './json-print.js'

/** The text of CPython's `json.dumps(value, indent=width)`, byte for byte: ASCII, one item a line, empty containers closed at once. */
export function printIndented(value: JsonValue, width: number): string {
  const out: string[] = []
  print(value, width, '\n', out)
  return out.join('')
}

/** `line`: a line break and the indentation of the value's own line. */
function print(value: JsonValue, width: number, line: string, out: string[]): void {
  const isList = Array.isArray(value)
  if ((!isList && !(value instanceof Map)) || (isList ? value.length : value.size) === 0) {
    out.push(printJson(value))
    return
  }
  const inner = line + ' '.repeat(width)
  const keys = isList ? [] : [...value.keys()]
  const items = isList ? value : [...value.values()]
  out.push(isList ? '[' : '{')
  for (const [i, item] of items.entries()) {
    out.push(i > 0 ? ',' : '', inner, isList ? '' : `${printJson(keys[i]!)}: `)
    print(item, width, inner, out)
  }
  out.push(line, isList ? ']' : '}')
}
