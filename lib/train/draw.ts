import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { DataOrder } from './order.js'

export interface Draw<T> {
  drawn: T[]
  /** Position in the data order behind the last example taken. */
  position: number
  /** Examples that were passed over, and how many tokens they have. */
  skipped: { id: string; tokens: number }[]
}

export interface DrawOptions<T> {
  dataset: readonly Example[]
  order: DataOrder
  position: number
  count: number
  /** Examples of 1 to this many tokens are taken. */
  maxTokens: number
  /** No tokens: the example is passed over. */
  encode(example: Example, index: number): T
}

/**
 * Takes the next `count` usable examples of the data order.
 *
 * @throws Error (ERR_DATA) where a whole epoch holds no such example
 */
export function drawExamples<T extends { tokens: ArrayLike<number> }>(options: DrawOptions<T>): Draw<T> {
  const { dataset, order, count, maxTokens, encode } = options
  const draw: Draw<T> = { drawn: [], position: options.position, skipped: [] }
  let passed = 0
  while (draw.drawn.length < count) {
    const index = order.at(draw.position++)
    const example = dataset[index]!
    const item = encode(example, index)
    const { length } = item.tokens
    if (length >= 1 && length <= maxTokens) {
      draw.drawn.push(item)
      passed = 0
      continue
    }
    draw.skipped.push({ id: example.id, tokens: length })
    if (++passed >= dataset.length) {
      const expected = `[train] expected examples of 1 to ${maxTokens} tokens`
      fail('Error', 'ERR_DATA', `${expected}, got none in ${dataset.length}: ${listSkipped(draw.skipped)}`)
    }
  }
  return draw
}

/** A note on examples that were passed over; none where there were none. */
export function skippedNotes(skipped: Draw<unknown>['skipped'], maxTokens: number): string[] {
  if (skipped.length === 0) return []
  return [`Left out ${skipped.length} examples without 1 to ${maxTokens} tokens: ${listSkipped(skipped)}.`]
}

function listSkipped(skipped: Draw<unknown>['skipped']): string {
  const shown = skipped.slice(0, 10).map(({ id, tokens }) => `${id} (${tokens})`)
  const more = skipped.length > shown.length ? ` and ${skipped.length - shown.length} more` : ''
  return shown.join(', ') + more
}
