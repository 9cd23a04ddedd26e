import { fail } from '../errors.js'
import { BatchBuilder, checkMask, lastCounted } from './builder.js'
import type { ItemizedBatch, PromptGroup, RowRange, Sequence } from './types.js'

/**
 * Packs whole sequences, each a causal segment of its own: log-probs of given text, and SFT packing.
 *
 * The row of token t predicts token t + 1. Only predictions whose target's mask is not 0 are listed, and rows behind the last
 * of them are left out, so a prompt's own tokens never reach the head. A sequence of 0 or 1 tokens predicts nothing.
 *
 * @throws RangeError (ERR_SHAPE) where a mask is not as long as its sequence
 */
export function packSequences(sequences: readonly Sequence[]): ItemizedBatch {
  const builder = new BatchBuilder()
  for (const { tokens, mask } of sequences) {
    checkMask('packSequences', tokens.length, mask)
    const last = lastCounted(tokens.length, mask)
    const [start] = builder.segment(take(tokens, 0, Math.max(last, 0)), 0, [])
    for (let t = 1; t <= last; t++) if (!mask || mask[t]) builder.predict(start + t - 1, tokens[t]!)
    builder.endItem()
  }
  return builder.build()
}

/**
 * Packs prompts with their completions so that a prompt is computed once: P + sum(R) rows in place of sum(P + R).
 *
 * The shared prefix is the prompt's first P - 1 tokens, one causal segment. Each completion starts with its own copy of the
 * prompt's last token, followed by its tokens but the last, and sees the prefix in full: every row predicts exactly one token.
 * Items (`offsets`) are the completions, group after group; an empty or fully masked one adds no row.
 *
 * @throws RangeError (ERR_SHAPE) for a prompt without tokens (nothing could predict the first token) or a mask of another length
 */
export function packGroups(groups: readonly PromptGroup[]): ItemizedBatch {
  const builder = new BatchBuilder()
  for (const { prompt, completions } of groups) {
    const prefixLength = prompt.length - 1
    if (prefixLength < 0) fail('RangeError', 'ERR_SHAPE', '[packGroups] expected a prompt of at least 1 token, got 0')
    const counts = completions.map(({ tokens, mask }) => {
      checkMask('packGroups', tokens.length, mask)
      return lastCounted(tokens.length, mask) + 1
    })
    const needed = counts.some((count) => count > 0)
    const prefix = builder.segment(take(prompt, 0, needed ? prefixLength : 0), 0, [])
    const spans = prefix[1] > prefix[0] ? [prefix] : []
    completions.forEach(({ tokens, mask }, i) => {
      const count = counts[i]!
      const [start] = builder.segment(answerRows(prompt, tokens, count), prefixLength, copyOf(spans))
      for (let t = 0; t < count; t++) if (!mask || mask[t]) builder.predict(start + t, tokens[t]!)
      builder.endItem()
    })
  }
  return builder.build()
}

/** Rows that `packGroups` gives a completion: up to its last token that counts. */
export function completionRows(completion: { tokens: ArrayLike<number>; mask?: ArrayLike<number> | null }): number {
  return lastCounted(completion.tokens.length, completion.mask) + 1
}

function* take(tokens: ArrayLike<number>, start: number, end: number): Iterable<number> {
  for (let i = start; i < end; i++) yield tokens[i]!
}

function* answerRows(prompt: ArrayLike<number>, tokens: ArrayLike<number>, count: number): Iterable<number> {
  if (count === 0) return
  yield prompt[prompt.length - 1]!
  yield* take(tokens, 0, count - 1)
}

function copyOf(ranges: RowRange[]): RowRange[] {
  return ranges.map(([start, end]) => [start, end])
}
