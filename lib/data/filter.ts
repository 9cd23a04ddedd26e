import type { Example } from './example.js'
import { Random } from './random.js'

export interface LengthFilter {
  kept: Example[]
  /** What was too long, with its number of tokens, in order. */
  overlong: { id: string; tokens: number }[]
}

/** Leaves out examples whose prompt has more than `maxTokens` tokens, as `lengthOf` counts them. */
export function filterByPromptLength(
  examples: readonly Example[],
  maxTokens: number,
  lengthOf: (example: Example) => number,
): LengthFilter {
  const kept: Example[] = []
  const overlong: LengthFilter['overlong'] = []
  for (const example of examples) {
    const tokens = lengthOf(example)
    if (tokens > maxTokens) overlong.push({ id: example.id, tokens })
    else kept.push(example)
  }
  return { kept, overlong }
}

/** Two lists, the first with round(fraction · n) examples, drawn by `seed`; each keeps the order it came in. */
export function splitExamples(examples: readonly Example[], fraction: number, seed: number): [Example[], Example[]] {
  const order = Random.of('split', seed).shuffle(examples.map((_, i) => i))
  const first = new Set(order.slice(0, Math.round(fraction * examples.length)))
  return [examples.filter((_, i) => first.has(i)), examples.filter((_, i) => !first.has(i))]
}
