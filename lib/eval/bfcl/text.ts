// Python's ideas of text where JavaScript's differ, and searches that stay linear.

/** What `str.isspace`, `str.strip` and `\s` of Python's `re` call white space (JavaScript's `\s` has U+FEFF and lacks \x1c-\x1f, \x85). */
export const pySpace = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
/** `\w` of Python's `re`: letters, numbers and underscores of all scripts. */
export const pyWord = '[\\p{L}\\p{N}_]'

const spaceCharacter = new RegExp(`[${pySpace}]`)
export const isSpace = (c: string): boolean => c !== '' && spaceCharacter.test(c)

/** `str.strip()`. */
export function pyStrip(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isSpace(text.charAt(from))) from++
  while (to > from && isSpace(text.charAt(to - 1))) to--
  return text.slice(from, to)
}

/** `str.strip(characters)`. */
export function stripOf(text: string, characters: string): string {
  let from = 0
  let to = text.length
  while (from < to && characters.includes(text.charAt(from))) from++
  while (to > from && characters.includes(text.charAt(to - 1))) to--
  return text.slice(from, to)
}

/** The index of the first character at or after `at` that is no white space. */
export function skipSpace(text: string, at: number): number {
  let i = at
  while (i < text.length && isSpace(text.charAt(i))) i++
  return i
}

/**
 * `indexOf` for starts that never decrease: the whole walk over a text costs one pass, also where nothing is found. Returns the text's
 * length where there is no further occurrence.
 */
export class Finder {
  #found = -1

  constructor(
    private readonly text: string,
    private readonly what: string,
  ) {}

  next(from: number): number {
    if (this.#found < from) {
      const at = this.text.indexOf(this.what, from)
      this.#found = at < 0 ? this.text.length : at
    }
    return this.#found
  }
}

/** Where each match of a global or sticky-free pattern begins and ends, from the left, overlapping starts included. */
export function* matches(pattern: RegExp, text: string): Generator<{ start: number; end: number }> {
  const search = new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`)
  for (let match = search.exec(text); match !== null; match = search.exec(text)) {
    yield { start: match.index, end: match.index + match[0].length }
    search.lastIndex = match.index + 1
  }
}

const decimalDigit = /^\p{Nd}$/u

/** The value of a decimal digit of any script, or null. Blocks of digits begin with their zero. */
function digitValue(c: string): number | null {
  if (c >= '0' && c <= '9') return c.charCodeAt(0) - 0x30
  if (!decimalDigit.test(c)) return null
  let run = c.codePointAt(0)!
  const code = run
  while (decimalDigit.test(String.fromCodePoint(run - 1))) run--
  return (code - run) % 10
}

/** Digits of any script as ASCII, everything else as it is. */
function asciiDigits(text: string): string {
  if (/^[\0-\x7f]*$/.test(text)) return text
  return [...text].map((c) => digitValue(c) ?? c).join('')
}

const longestInteger = 4300

/** `int(text)`: surrounding space, a sign, single underscores between digits; null where Python raises a ValueError. */
export function pyInt(text: string): bigint | null {
  const plain = asciiDigits(pyStrip(text))
  const parts = /^([+-]?)(\d(?:_?\d)*)$/.exec(plain)
  if (parts === null) return null
  const digits = parts[2]!.replaceAll('_', '')
  if (digits.length > longestInteger) return null
  return parts[1] === '-' ? -BigInt(digits) : BigInt(digits)
}

/** `float(text)`; null where Python raises a ValueError. */
export function pyFloat(text: string): number | null {
  const plain = asciiDigits(pyStrip(text))
  const named = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i.exec(plain)
  if (named) return named[2] === undefined ? Number.NaN : named[1] === '-' ? -Infinity : Infinity
  if (!/^[+-]?(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?$/.test(plain)) return null
  return Number(plain.replaceAll('_', ''))
}
