import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { completionRows, type ItemizedBatch, packGroups, packSequences, type Segment } from '../../lib/batch.js'

/** The tokens, in order of position, that a row sees (itself included): what the segments mean, spelled out. */
function context(batch: ItemizedBatch, row: number): number[] {
  const segment = batch.segments.find(({ queries }) => row >= queries[0] && row < queries[1]) as Segment
  const seen: number[] = []
  for (const [start, end] of segment.spans) for (let k = start; k < end; k++) seen.push(k)
  if (segment.keys) {
    const limit = row - segment.queries[0] + segment.causalOffset
    for (let j = 0; j <= limit && segment.keys[0] + j < segment.keys[1]; j++) seen.push(segment.keys[0] + j)
  }
  return seen.sort((a, b) => batch.positions[a]! - batch.positions[b]!).map((k) => batch.tokens[k]!)
}

/** Every prediction of an item as "context -> target". */
function predictions(batch: ItemizedBatch, item: number): string[] {
  const out: string[] = []
  for (let r = batch.offsets[item]!; r < batch.offsets[item + 1]!; r++) {
    out.push(`${context(batch, batch.rows[r]!).join(' ')} -> ${batch.targets[r]}`)
  }
  return out
}

test('a packed sequence predicts every token but the first from the tokens before it', () => {
  const batch = packSequences([{ tokens: [5, 6, 7] }, { tokens: [] }, { tokens: [8] }, { tokens: [9, 10] }])
  assert.equal(Array.from(batch.tokens), [5, 6, 9])
  assert.equal(Array.from(batch.positions), [0, 1, 0])
  assert.equal(predictions(batch, 0), ['5 -> 6', '5 6 -> 7'])
  assert.equal(predictions(batch, 1), [])
  assert.equal(predictions(batch, 2), [])
  assert.equal(predictions(batch, 3), ['9 -> 10'])
})

test('masked tokens stay context but are not predicted, and rows behind the last one are dropped', () => {
  const batch = packSequences([{ tokens: [1, 2, 3, 4, 5], mask: [1, 0, 1, 1, 0] }])
  assert.equal(predictions(batch, 0), ['1 2 -> 3', '1 2 3 -> 4'])
  assert.is(batch.tokens.length, 3)
})

test('a group shows each completion its prompt and itself, and computes the prompt once', () => {
  const prompt = [1, 2, 3]
  const batch = packGroups([
    { prompt, completions: [{ tokens: [4, 5] }, { tokens: [] }, { tokens: [6] }] },
    { prompt: [7, 8], completions: [{ tokens: [9] }] },
  ])
  assert.equal(predictions(batch, 0), ['1 2 3 -> 4', '1 2 3 4 -> 5'])
  assert.equal(predictions(batch, 1), [])
  assert.equal(predictions(batch, 2), ['1 2 3 -> 6'])
  assert.equal(predictions(batch, 3), ['7 8 -> 9'])
  assert.is(batch.tokens.length, 2 + 2 + 1 + 1 + 1)
  assert.equal(Array.from(batch.positions), [0, 1, 2, 3, 2, 0, 1])
})

test('a group and its completions taken apart predict the same from the same', () => {
  const prompt = [3, 1, 4, 1, 5]
  const completions = [{ tokens: [9, 2, 6] }, { tokens: [5], mask: [1] }, { tokens: [3, 5, 8, 9], mask: [1, 0, 0, 1] }]
  const packed = packGroups([{ prompt, completions }])
  completions.forEach((completion, i) => {
    const mask = completion.mask ?? completion.tokens.map(() => 1)
    const whole = packSequences([
      { tokens: [...prompt, ...completion.tokens], mask: [...prompt.map(() => 0), ...mask] },
    ])
    assert.equal(predictions(packed, i), predictions(whole, 0))
  })
})

test('a prompt of one token has no prefix segment', () => {
  const batch = packGroups([{ prompt: [1], completions: [{ tokens: [2, 3] }, { tokens: [4] }] }])
  assert.is(batch.segments.length, 2)
  assert.ok(batch.segments.every(({ spans }) => spans.length === 0))
  assert.equal(predictions(batch, 0), ['1 -> 2', '1 2 -> 3'])
  assert.equal(predictions(batch, 1), ['1 -> 4'])
})

test('a group in which nothing counts has no rows at all', () => {
  const batch = packGroups([{ prompt: [1, 2, 3], completions: [{ tokens: [] }, { tokens: [4, 5], mask: [0, 0] }] }])
  assert.is(batch.tokens.length, 0)
  assert.is(batch.segments.length, 0)
  assert.equal(Array.from(batch.offsets), [0, 0, 0])
})

test('completionRows counts the rows that packGroups makes', () => {
  for (const mask of [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0], null]) {
    const completion = { tokens: [4, 5, 6], mask }
    assert.is(completionRows(completion), packGroups([{ prompt: [1], completions: [completion] }]).tokens.length)
  }
})

test('a prompt without tokens and a mask of another length are errors', () => {
  assert.throws(
    () => packGroups([{ prompt: [], completions: [] }]),
    /\[packGroups\] expected a prompt of at least 1 token/,
  )
  assert.throws(() => packSequences([{ tokens: [1, 2], mask: [1] }]), /expected a mask of 2 tokens, got 1/)
})

test.run()
