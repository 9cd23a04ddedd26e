import type { Example } from '../data/example.js'
import { codedError } from '../errors.js'
import type { Variant } from '../reward/parse.js'
import { checkReply } from '../reward/stats.js'
import { scoreToolCalls } from '../reward/tool-call.js'
import { type Estimate, meanEstimate, wilson } from './intervals.js'

/** A model's answer to an example. */
export interface Reply {
  example: Example
  /** The text, special tokens kept, without the end-of-turn token. */
  completion: string
  /** Its length in tokens. */
  tokens: number
  finishReason: 'stop' | 'length'
}

export interface ScoredReply {
  id: string
  completion: string
  tokens: number
  finishReason: 'stop' | 'length'
  exact: boolean
  explain: string
}

/** Rates with Wilson's, means with Student's 95 % intervals. */
export interface EvalReport {
  /** Replies scored. */
  samples: number
  /** Right calls in the right format: the binary reward's mean. */
  exactMatch: Estimate
  /** Thought and a readable list of calls. */
  formatRate: Estimate
  /** Readable, and the right names. */
  nameRate: Estimate
  /** No readable list of calls. */
  invalidToolCallRate: Estimate
  /** Tokens of a reply. */
  meanLength: Estimate
  /** Replies cut at the limit. */
  clippedRate: Estimate
  replies: ScoredReply[]
  /** Examples without a truth: not asked. */
  skipped: string[]
}

/**
 * Scores replies. Repeated samples of one example count as replies of their own (the intervals take them for independent).
 *
 * Throws a TypeError (`ERR_TRUTH`) naming the example whose truth is absent or no list of calls.
 */
export function scoreReplies(replies: readonly Reply[], variant: Variant = 'v0'): EvalReport {
  const checks = replies.map(({ example, completion }) => {
    if (example.truth === undefined) {
      throw codedError('TypeError', 'ERR_TRUTH', `[eval] expected example "${example.id}" to have a truth, got none`)
    }
    try {
      return checkReply(completion, example.truth, variant)
    } catch (error) {
      throw codedError('TypeError', 'ERR_TRUTH', `[eval] example "${example.id}": ${(error as Error).message}`, error)
    }
  })
  const rate = (holds: (i: number) => boolean) => wilson(replies.filter((_, i) => holds(i)).length, replies.length)
  return {
    samples: replies.length,
    exactMatch: rate((i) => checks[i]?.exact ?? false),
    formatRate: rate((i) => checks[i]?.format ?? false),
    nameRate: rate((i) => checks[i]?.name ?? false),
    invalidToolCallRate: rate((i) => checks[i]?.invalid ?? false),
    meanLength: meanEstimate(replies.map(({ tokens }) => tokens)),
    clippedRate: rate((i) => replies[i]?.finishReason === 'length'),
    replies: replies.map(({ example, completion, tokens, finishReason }, i) => ({
      id: example.id,
      completion,
      tokens,
      finishReason,
      exact: checks[i]?.exact ?? false,
      explain: scoreToolCalls(completion, example.truth ?? '', variant).explain,
    })),
    skipped: [],
  }
}
