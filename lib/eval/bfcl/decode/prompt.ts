// The decoder of BFCL's default prompt: `[f(a=1), g.h(b='x')]` in the question's language.

import { decodeCalls } from '../../../text/python/decode.js'
import type { BfclVersion, Language } from '../categories.js'
import type { Decoded } from '../check.js'
import { pyStrip, stripOf } from '../text.js'
import { decodeJava } from './java.js'
import { decodeJavaScript } from './javascript.js'

/**
 * Backticks, line breaks and spaces come off both ends, missing brackets are added, the inside is read as source. Python's decoder of
 * version 3 also takes all brackets and single quotes off both ends, version 4's only quotes around the brackets.
 */
export function decodePrompt(text: string, language: Language, version: BfclVersion): Decoded {
  const bare = stripOf(text, '`\n ')
  const opened = bare.startsWith('[') ? bare : `[${bare}`
  const list = opened.endsWith(']') ? opened : `${opened}]`
  if (language === 'java') return decodeJava(list.slice(1, -1))
  if (language === 'javascript') return decodeJavaScript(list.slice(1, -1))
  const source = version === 'v3' ? stripOf(list, "[]'") : stripOf(pyStrip(list), "'")
  const calls = decodeCalls(source, { bareCall: 'text', loneCall: true })
  if (calls === null) return { failure: 'the answer is no list of calls in Python' }
  return { value: calls.map(({ name, args }) => new Map([[name, args]])) }
}
