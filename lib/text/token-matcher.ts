// Finds spellings of added tokens (`<|im_end|>` …) in text.

/** An added token of tokenizer.json. */
export interface AddedToken {
  id: number
  content: string
  special: boolean
  /** The token takes the white space before (after) it. */
  lstrip: boolean
  rstrip: boolean
  /** Matches only where no word character stands beside it. */
  singleWord: boolean
  /** Looked for after normalisation. */
  normalized: boolean
}

/** Text between tokens, and the tokens, in order. */
export type Piece = string | AddedToken

const escapeClass = (char: string): string => char.replace(/[\\\]^-]/g, '\\$&')
const wordCharacter = /[\p{L}\p{N}\p{M}_]/u

/**
 * Leftmost, then longest match over a fixed set of strings, in time linear in the text for sets whose first characters are
 * rare in it (they are `<` and `[`).
 */
export class TokenMatcher {
  /** First character to tokens, longest first. */
  private readonly byFirst = new Map<string, AddedToken[]>()
  private readonly first: RegExp | null

  constructor(tokens: Iterable<AddedToken>) {
    for (const token of tokens) {
      if (token.content === '') continue
      const key = token.content[0]!
      const list = this.byFirst.get(key)
      if (list) list.push(token)
      else this.byFirst.set(key, [token])
    }
    for (const list of this.byFirst.values()) list.sort((a, b) => b.content.length - a.content.length)
    this.first =
      this.byFirst.size === 0 ? null : new RegExp(`[${[...this.byFirst.keys()].map(escapeClass).join('')}]`, 'g')
  }

  /** The longest token that stands exactly at `at`. */
  at(text: string, at: number): AddedToken | null {
    const candidates = this.byFirst.get(text[at] ?? '')
    return candidates?.find((token) => text.startsWith(token.content, at) && standsAlone(text, at, token)) ?? null
  }

  /** Where the next character stands that some token starts with; -1 where none does. */
  nextCandidate(text: string, from: number): number {
    if (!this.first) return -1
    this.first.lastIndex = from
    return this.first.exec(text)?.index ?? -1
  }

  /** Cuts text at the tokens. Empty text between them is left out; white space goes to tokens that strip it. */
  split(text: string): Piece[] {
    const pieces: Piece[] = []
    let start = 0
    let stripNext = false
    const pushText = (end: number, stripEnd: boolean) => {
      let between = text.slice(start, end)
      if (stripNext) between = between.trimStart()
      if (stripEnd) between = between.trimEnd()
      if (between !== '') pieces.push(between)
    }
    for (let i = this.nextCandidate(text, 0); i >= 0; ) {
      const token = this.at(text, i)
      if (token) {
        pushText(i, token.lstrip)
        pieces.push(token)
        start = i + token.content.length
        stripNext = token.rstrip
      }
      i = this.nextCandidate(text, token ? start : i + 1)
    }
    pushText(text.length, false)
    return pieces
  }
}

function standsAlone(text: string, at: number, token: AddedToken): boolean {
  if (!token.singleWord) return true
  const [before, after] = [text[at - 1] ?? ' ', text[at + token.content.length] ?? ' ']
  return !wordCharacter.test(before) && !wordCharacter.test(after)
}
