// Text that is not ours inside a chat template.
//
// Messages and tools may spell control tokens (`<|im_end|>`), whole or in parts that the template would put together. Before
// rendering, a sentinel character, one that occurs nowhere in the input, is put inside every such spelling, so that the
// rendered text has exactly the control tokens that the template itself wrote. The caller cuts there and takes the sentinels
// out of the text between, which is then encoded by an encoder that knows no control token.
//
// Where a sentinel goes:
// - after the first character of every spelling of a control token, also of overlapping ones, in any case (a template
//   may change case);
// - at an edge of a string (its white space left out: templates trim) that could be the beginning or end of one;
// - at both edges of a string that lies inside one (`im_end` between the template's `<|` and `|>`).
// Strings without any of these, nearly all, stay as they are: the rendered text and so the tokens are those of the plain path.

import { fail } from '../errors.js'
import { type AddedToken, TokenMatcher } from './token-matcher.js'

/** Characters of the private use area, one of which is free in any input shorter than 6,400 distinct ones. */
const firstSentinel = 0xe000
const lastSentinel = 0xf8ff

const knownRoles = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function', 'ipython'])

const lower = (text: string): string => {
  const out = text.toLowerCase()
  // A character whose lower case is longer would shift every index behind it.
  return out.length === text.length ? out : text
}

/** Marks control tokens in text that is not ours. */
export class UntrustedText {
  private readonly matcher: TokenMatcher
  private readonly spellings: string[]
  /** First characters of proper suffixes, last characters of proper prefixes: what an edge is compared with first. */
  private readonly suffixStarts: Set<string>
  private readonly prefixEnds: Set<string>

  constructor(special: readonly AddedToken[]) {
    this.spellings = special.map((token) => lower(token.content)).filter((text) => text !== '')
    this.matcher = new TokenMatcher(
      special.map((token) => ({ ...token, content: lower(token.content), singleWord: false })),
    )
    this.suffixStarts = new Set(this.spellings.flatMap((text) => [...text].slice(1)))
    this.prefixEnds = new Set(this.spellings.flatMap((text) => [...text].slice(0, -1)))
  }

  /** A role is compared and printed by templates, so it cannot be marked: it must be a plain word outside control tokens. */
  checkRole(role: unknown, where: string): void {
    if (typeof role === 'string' && knownRoles.has(role)) return
    const plain = typeof role === 'string' && /^[A-Za-z][\w-]{0,63}$/.test(role)
    if (!plain || this.spellings.some((text) => text.includes(lower(role)))) {
      fail(
        'Error',
        'ERR_TEMPLATE',
        `${where} expected a role such as ${[...knownRoles].join(', ')}, got ${JSON.stringify(role)}`,
      )
    }
  }

  /** A deep copy of messages or tools with sentinels, and the sentinel; null where nothing had to be marked. */
  mark<T>(value: T): { value: T; sentinel: string } | null {
    const sentinel = freeCharacter(value)
    const state = { sentinel, marked: false }
    const copy = this.copy(value, state) as T
    return state.marked ? { value: copy, sentinel } : null
  }

  private copy(value: unknown, state: { sentinel: string; marked: boolean }, key?: string): unknown {
    const put = (text: string, at: number[]): string => {
      if (at.length === 0) return text
      state.marked = true
      return insert(text, at, state.sentinel)
    }
    if (typeof value === 'string') {
      // `role` is checked on its own and templates compare `type`: only whole spellings are marked in them.
      return put(value, key === 'role' || key === 'type' ? this.spellingPoints(value) : this.points(value))
    }
    if (Array.isArray(value)) return value.map((entry) => this.copy(entry, state))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [
        put(name, this.spellingPoints(name)),
        this.copy(entry, state, name),
      ]),
    )
  }

  private spellingPoints(text: string): number[] {
    const folded = lower(text)
    const at: number[] = []
    for (let i = this.matcher.nextCandidate(folded, 0); i >= 0; i = this.matcher.nextCandidate(folded, i + 1)) {
      if (this.matcher.at(folded, i)) at.push(i + 1)
    }
    return at
  }

  /** Where sentinels go, in ascending order. */
  private points(text: string): number[] {
    const at = new Set(this.spellingPoints(text))
    const core = lower(text.trim())
    if (core !== '') {
      const start = text.length - text.trimStart().length
      const end = start + core.length
      const inside = this.spellings.some((spelling) => spelling.length > core.length && spelling.includes(core))
      if (inside || this.endsOne(core)) at.add(start)
      if (inside || this.beginsOne(core)) at.add(end)
    }
    return [...at].sort((a, b) => a - b)
  }

  /** The text's end is the beginning of a control token. */
  private beginsOne(core: string): boolean {
    if (!this.prefixEnds.has(core.at(-1)!)) return false
    return this.spellings.some((spelling) => overlap(core, spelling))
  }

  /** The text's beginning is the end of a control token. */
  private endsOne(core: string): boolean {
    if (!this.suffixStarts.has(core[0]!)) return false
    return this.spellings.some((spelling) => overlap(spelling, core))
  }
}

/** Some end of `left`, shorter than `left` or `right` whole, is a beginning of `right`. */
function overlap(left: string, right: string): boolean {
  for (let length = Math.min(left.length, right.length - 1, 256); length > 0; length--) {
    if (right.startsWith(left.slice(left.length - length))) return true
  }
  return false
}

function insert(text: string, at: number[], sentinel: string): string {
  let out = ''
  let from = 0
  for (const point of at) {
    out += text.slice(from, point) + sentinel
    from = point
  }
  return out + text.slice(from)
}

/** A character of the private use area that stands nowhere in `value`. */
function freeCharacter(value: unknown): string {
  const used = new Set<number>()
  const visit = (entry: unknown): void => {
    if (typeof entry === 'string') {
      if (!/[\ue000-\uf8ff]/.test(entry)) return
      for (let i = 0; i < entry.length; i++) used.add(entry.charCodeAt(i))
    } else if (typeof entry === 'object' && entry !== null) {
      for (const [key, inner] of Object.entries(entry)) {
        visit(key)
        visit(inner)
      }
    }
  }
  visit(value)
  for (let code = firstSentinel; code <= lastSentinel; code++) if (!used.has(code)) return String.fromCharCode(code)
  return fail(
    'Error',
    'ERR_TEMPLATE',
    '[chat template] expected messages that leave a character of the private use area free',
  )
}
