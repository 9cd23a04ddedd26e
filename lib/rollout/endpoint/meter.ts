import type { ChatAnswer } from './types.js'

/** Tokens and answers of one kind. */
export interface Tally {
  answers: number
  promptTokens: number
  completionTokens: number
  /** Answers whose tokens the server did not count: the sums leave them out. */
  uncounted: number
}

/** What asking has used: `asked` was sent in this process, `stored` came from earlier ones. */
export interface UsageTotals {
  asked: Tally
  stored: Tally
  /** Attempts that were made again. */
  retries: number
}

/** Price of a million tokens, in whatever money. */
export interface Prices {
  input: number
  output: number
}

const nothing = (): Tally => ({ answers: 0, promptTokens: 0, completionTokens: 0, uncounted: 0 })

/** Adds up what answers have cost. */
export class UsageMeter {
  readonly totals: UsageTotals = { asked: nothing(), stored: nothing(), retries: 0 }

  add({ usage }: Pick<ChatAnswer, 'usage'>, from: 'asked' | 'stored'): void {
    const tally = this.totals[from]
    tally.answers++
    if (usage === null) tally.uncounted++
    tally.promptTokens += usage?.promptTokens ?? 0
    tally.completionTokens += usage?.completionTokens ?? 0
  }

  retried(): void {
    this.totals.retries++
  }
}

/** What tokens cost at these prices. */
export function costOf({ promptTokens, completionTokens }: Tally, { input, output }: Prices): number {
  return (promptTokens * input + completionTokens * output) / 1e6
}
