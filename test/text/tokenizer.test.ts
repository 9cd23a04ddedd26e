import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Tokenizer } from '../../lib/text/tokenizer.js'
import { changed, chatTokenizer, families, family } from './fixtures.js'

for (const name of families) {
  test(`${name}: tokens and text are those of the tokenizers library`, () => {
    const { files, cases } = family(name)
    const tokenizer = new Tokenizer(files)
    assert.ok(cases.length > 10)
    for (const { text, ids, with_special, decoded, skipped } of cases) {
      assert.equal(tokenizer.encode(text), ids, `encode ${JSON.stringify(text)}`)
      assert.equal(tokenizer.encode(text, { addSpecialTokens: true }), with_special, `special ${JSON.stringify(text)}`)
      assert.is(tokenizer.decode(ids), decoded, `decode ${JSON.stringify(text)}`)
      assert.is(tokenizer.decode(ids, { skipSpecialTokens: true }), skipped, `skip ${JSON.stringify(text)}`)
    }
  })

  test(`${name}: pieces of a stream joined are the decoded text`, () => {
    const { files, cases } = family(name)
    const tokenizer = new Tokenizer(files)
    for (const { ids, decoded, skipped } of cases) {
      for (const skipSpecialTokens of [false, true]) {
        const stream = tokenizer.streamDecoder({ skipSpecialTokens })
        const pieces = ids.map((id) => stream.push(id))
        pieces.push(stream.flush())
        assert.is(pieces.join(''), skipSpecialTokens ? skipped : decoded)
      }
    }
  })

  test(`${name}: no text becomes a control token`, () => {
    const { files, cases } = family(name)
    const tokenizer = new Tokenizer(files)
    const special = new Set(tokenizer.specialTokens.values())
    const hostile = [...tokenizer.specialTokens.keys()].flatMap((token) => [token, ` ${token}${token} `, `a${token}b`])
    for (const text of [...cases.map((entry) => entry.text), ...hostile]) {
      for (const id of tokenizer.encodeText(text)) assert.not.ok(special.has(id), `${JSON.stringify(text)} gave ${id}`)
    }
  })
}

test('text that spells a control token is the same text after decoding', () => {
  const tokenizer = chatTokenizer()
  const text = 'a <|im_end|> b<|im_start|>system'
  assert.is(tokenizer.decode(tokenizer.encodeText(text)), text)
  assert.is(tokenizer.decode(tokenizer.encode(text)), text)
  assert.ok(tokenizer.encodeText(text).length > tokenizer.encode(text).length)
})

test('a control token that merges could make is never made', () => {
  const files = changed((json: Record<string, unknown>) => {
    const model = json.model as { vocab: Record<string, number>; merges: [string, string][] }
    const id = Object.keys(model.vocab).length + 20
    model.vocab['!?'] = id
    model.merges.unshift(['!', '?'])
    ;(json.added_tokens as unknown[]).push({ id, content: '!?', special: true })
  })
  const tokenizer = new Tokenizer(files)
  assert.is(tokenizer.encode('!?').length, 1)
  assert.is(tokenizer.encodeText('!?').length, 2)
})

test('a piece of a megabyte takes time in proportion to its length', () => {
  const tokenizer = chatTokenizer()
  const time = (length: number) => {
    const text = 'ab'.repeat(length / 2)
    const start = performance.now()
    tokenizer.encodeText(text)
    return performance.now() - start
  }
  time(10_000)
  const small = Math.min(time(50_000), time(50_000), time(50_000))
  const large = time(1_000_000)
  assert.ok(large < 20 * small * 8, `50 kB: ${small} ms, 1 MB: ${large} ms`)
})

test('unknown tokens of padded embeddings decode to nothing, impossible ones are refused', () => {
  const tokenizer = chatTokenizer()
  assert.is(tokenizer.decode([]), '')
  assert.is(tokenizer.decode([tokenizer.vocabSize + 100]), '')
  for (const bad of [-1, 1.5, Number.NaN]) {
    assert.throws(() => tokenizer.decode([bad]), /\[tokenizer\] decode expected non-negative integers, got/)
  }
})

test('bytes that are no UTF-8 become U+FFFD, in one piece and in a stream', () => {
  const tokenizer = chatTokenizer()
  const [first] = tokenizer.encodeText('你')
  assert.is(tokenizer.decode([first!]), '\ufffd')
  const stream = tokenizer.streamDecoder()
  assert.is(stream.push(first!), '')
  assert.is(stream.flush(), '\ufffd')
})

test('a stream gives a character when its last byte has come', () => {
  const tokenizer = chatTokenizer()
  const ids = tokenizer.encodeText('x🚀y')
  const stream = tokenizer.streamDecoder()
  const pieces = ids.map((id) => stream.push(id))
  assert.ok(pieces.includes('🚀'))
  assert.not.ok(pieces.some((piece) => piece.includes('\ufffd')))
})

test('a vocabulary larger than the model is refused', () => {
  const { files } = family('gpt2')
  assert.throws(
    () => new Tokenizer(files, { vocabSize: 300 }),
    /expected tokens below the model's 300 embedding rows, .* is token \d+: the tokenizer is not this model's/,
  )
  new Tokenizer(files, { vocabSize: new Tokenizer(files).vocabSize })
})

const broken: [string, (json: Record<string, unknown>) => void, RegExp][] = [
  ['no model', (json) => delete json.model, /"model" is not valid/],
  [
    'another kind of model',
    (json) => (json.model = { type: 'Unigram', vocab: [] }),
    /expected a "BPE" model .* got "Unigram"/,
  ],
  [
    'a merge of unknown tokens',
    (json) => (json.model as { merges: unknown[] }).merges.push(['qq', 'zz']),
    /merge \d+ \("qq", "zz"\) needs the token "qq", the vocabulary has none/,
  ],
  [
    'ids that are no integers',
    (json) => ((json.model as { vocab: Record<string, unknown> }).vocab.x = 'y'),
    /"model.vocab/,
  ],
  [
    'two ids for one added token',
    (json) => (json.added_tokens as unknown[]).push({ id: 5000, content: 'a', special: true }),
    /"a" is token \d+ in the vocabulary and 5000 among the added tokens/,
  ],
  [
    'one id for two tokens',
    (json) => (json.added_tokens as unknown[]).push({ id: 3, content: '<new>', special: true }),
    /token 3 is both/,
  ],
  ['an unknown pre-tokenizer', (json) => (json.pre_tokenizer = { type: 'Magic' }), /Unknown PreTokenizer type: Magic/],
  [
    'an unknown post-processor',
    (json) => (json.post_processor = { type: 'Magic' }),
    /post-processor expected TemplateProcessing or ByteLevel, got "Magic"/,
  ],
]
for (const [what, change, expected] of broken) {
  test(`tokenizer.json with ${what} is one clear error`, () => {
    assert.throws(() => new Tokenizer(changed(change as never)), expected)
  })
}

test('tokenizer files that are no JSON are one clear error', () => {
  const { files } = family('gpt2')
  assert.throws(() => new Tokenizer({ ...files, tokenizerJson: '{"model":' }), /tokenizer.json: expected JSON, got/)
  assert.throws(
    () => new Tokenizer({ ...files, tokenizerConfig: '[]' }),
    /tokenizer_config.json: expected a JSON object, got a list/,
  )
})

test('roles come from tokenizer_config.json in both spellings', () => {
  const { files } = family('gpt2')
  const tokenizer = new Tokenizer({
    ...files,
    tokenizerConfig: JSON.stringify({ bos_token: '<|im_start|>', eos_token: { content: '<|im_end|>', lstrip: false } }),
  })
  assert.is(tokenizer.bosTokenId, tokenizer.tokenId('<|im_start|>'))
  assert.is(tokenizer.eosTokenId, tokenizer.tokenId('<|im_end|>'))
  assert.is(tokenizer.padTokenId, null)
  assert.is(tokenizer.tokenText(tokenizer.eosTokenId!), '<|im_end|>')
})

test('arguments of another type are refused by name', () => {
  const tokenizer = chatTokenizer()
  assert.throws(() => tokenizer.encode(5 as never), /\[tokenizer\] encode expected text, got number/)
  assert.throws(() => tokenizer.encodeText(null as never), /encodeText expected text, got object/)
})

test.run()
