import { type DecodedCall, decodeCalls } from '../../text/python/decode.js'
import { pySpace } from '../bfcl/text.js'
import { type Category, isMultiTurn, type Version } from './categories.js'

const options = { bareCall: 'object', loneCall: false } as const

/**
 * The calls in what a model wrote, or null (`wrong_output_format`).
 *
 * `head` takes the first text that brackets enclose, whatever stands around it. `2504`, and both versions in multi-turn categories, delete
 * all white space, also that inside strings, and read all that is left.
 */
export function decodeAnswer(text: string, category: Category, version: Version): DecodedCall[] | null {
  if (version === '2504' || isMultiTurn(category)) return decodeCalls(text.replace(allSpace, ''), options)
  const list = firstBracketed(text)
  return list === null ? null : decodeCalls(list, options)
}

const allSpace = new RegExp(`[${pySpace}]+`, 'g')

/**
 * From a `[` that opens at depth 0 to the `]` that brings the depth back to 0. Brackets are counted from the start of the text, also in
 * quotes, and a `]` without its `[` makes the depth negative, as in the official code.
 */
export function firstBracketed(text: string): string | null {
  let depth = 0
  let start = -1
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 0x5b) {
      if (depth === 0) start = i
      depth++
    } else if (c === 0x5d && --depth === 0 && start >= 0) return text.slice(start, i + 1)
  }
  return null
}
