import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BytePairEncoder } from '../../lib/text/bpe.js'
import { type AddedToken, TokenMatcher } from '../../lib/text/token-matcher.js'

/** The definition: of all adjacent pairs that have a merge, the lowest rank, then the leftmost, until none is left. */
function naive(symbols: string[], merges: [string, string][]): string[] {
  const out = [...symbols]
  for (;;) {
    let best = merges.length
    let at = -1
    for (let i = 0; i + 1 < out.length; i++) {
      const rank = merges.findIndex(([left, right]) => left === out[i] && right === out[i + 1])
      if (rank >= 0 && rank < best) [best, at] = [rank, i]
    }
    if (at < 0) return out
    out.splice(at, 2, out[at]! + out[at + 1]!)
  }
}

test('random merges over random words: the definition, symbol by symbol', () => {
  let state = 7
  const next = (n: number) => (state = (state * 48271) % 2147483647) % n
  for (let round = 0; round < 200; round++) {
    const vocabulary = new Map<string, number>(['a', 'b', 'c'].map((text, id) => [text, id]))
    const merges: [string, string][] = []
    for (let i = 0; i < 25; i++) {
      const known = [...vocabulary.keys()]
      const pair: [string, string] = [known[next(known.length)]!, known[next(known.length)]!]
      if (!vocabulary.has(pair.join(''))) vocabulary.set(pair.join(''), vocabulary.size)
      merges.push(pair)
    }
    const encoder = new BytePairEncoder(merges, vocabulary, '[test]')
    const texts = new Map([...vocabulary].map(([text, id]) => [id, text]))
    for (const length of [0, 1, 2, 3, 10, 60]) {
      const symbols = Array.from({ length }, () => 'abc'[next(3)]!)
      const got = encoder.encode(symbols.map((symbol) => vocabulary.get(symbol)!)).map((id) => texts.get(id))
      assert.equal(got, naive(symbols, merges), `${symbols.join('')} with ${JSON.stringify(merges)}`)
    }
  }
})

const token = (content: string, change: Partial<AddedToken> = {}): AddedToken => ({
  id: 0,
  content,
  special: true,
  lstrip: false,
  rstrip: false,
  singleWord: false,
  normalized: false,
  ...change,
})
const cut = (tokens: AddedToken[], text: string) =>
  new TokenMatcher(tokens).split(text).map((piece) => (typeof piece === 'string' ? piece : [piece.content]))

test('added tokens: leftmost, then longest', () => {
  const tokens = [token('<a>'), token('<a>b'), token('b<')]
  assert.equal(cut(tokens, 'x<a>bb<a>'), ['x', ['<a>b'], ['b<'], 'a>'])
  assert.equal(cut(tokens, '<<a><a'), ['<', ['<a>'], '<a'])
  assert.equal(cut([], '<a>'), ['<a>'])
  assert.equal(cut(tokens, ''), [])
  assert.equal(cut([token('[^\\]-')], 'x[^\\]-y'), ['x', ['[^\\]-'], 'y'])
})

test('added tokens that strip take the white space, those of single words need it', () => {
  assert.equal(cut([token('<m>', { lstrip: true })], 'a  <m> b'), ['a', ['<m>'], ' b'])
  assert.equal(cut([token('<m>', { rstrip: true })], 'a <m> \n b'), ['a ', ['<m>'], 'b'])
  assert.equal(cut([token('cat', { singleWord: true })], 'cat cats cat'), [['cat'], ' cats ', ['cat']])
})

test.run()
