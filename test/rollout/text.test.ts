import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { completionText, TextStreams } from '../../lib/rollout/text.js'
import { StreamDecoder } from '../../lib/text/stream-decoder.js'

// Tokens are bytes; 0 ends a text.
const bytes = (token: number) => Uint8Array.of(token)
const tokenizer = {
  decode: (tokens: readonly number[]) => new TextDecoder().decode(Uint8Array.from(tokens)),
  streamDecoder: () => new StreamDecoder({ bytes, decode: (t) => tokenizer.decode(t) }),
}
const encode = (text: string) => [...new TextEncoder().encode(text)]

test('the stop token is no part of the text, a last token that ran out of room is', () => {
  const tokens = encode('ab')
  assert.is(completionText(tokenizer, { tokens: [...tokens, 0], finishReason: 'stop' }), 'ab')
  assert.is(completionText(tokenizer, { tokens, finishReason: 'length' }), 'ab')
  assert.is(completionText(tokenizer, { tokens: [], finishReason: 'length' }), '')
})

test('interleaved completions stream whole characters that join to the whole text', () => {
  const texts = ['naïve — 日本', 'plain', '𝄞🎉']
  const pieces = texts.map(() => [] as string[])
  const streams = new TextStreams(tokenizer, [0], (prompt, sample, text) => pieces[prompt + sample]!.push(text))
  const tokens = texts.map((t) => [...encode(t), 0])
  for (let i = 0; i < Math.max(...tokens.map((t) => t.length)); i++) {
    for (const [k, list] of tokens.entries()) {
      if (i < list.length) streams.push(k === 2 ? 1 : k, k === 2 ? 1 : 0, list[i]!, i === list.length - 1)
    }
  }
  for (const [k, text] of texts.entries()) {
    assert.is(pieces[k]!.join(''), text)
    assert.not(pieces[k]!.some((piece) => piece.includes('\ufffd')))
  }
})

test('a character cut off by the length limit shows as one replacement', () => {
  const cut = encode('é').slice(0, 1)
  let seen = ''
  const streams = new TextStreams(tokenizer, [], (_, __, text) => (seen += text))
  streams.push(0, 0, 0x61, false)
  streams.push(0, 0, cut[0]!, true)
  assert.is(seen, 'a\ufffd')
})

test.run()
