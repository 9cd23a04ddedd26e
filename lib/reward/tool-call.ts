import { codedError } from '../errors.js'
import { type CallMatch, compareCalls, readTruth, type Truth } from './match.js'
import { named } from './named.js'
import { type ParsedReply, parseToolCalls, type Variant, variants } from './parse.js'
import type { RewardFunction } from './types.js'

export interface ToolCallScore {
  reward: number
  /**
   * 1 or 0 each. `format`: the tags are there (`<think>` ones not asked for by v2) and the block is a list of calls. `name`: the format
   * of the block is right and the names are. `arguments`: the calls are exactly the expected ones.
   */
  parts: { format: number; name: number; arguments: number }
  /** What kept the reward from being full, or `match`. */
  explain: string
}

type Outcome = 'exact' | 'names' | 'wrong' | 'malformed' | 'none'
type Table = Record<Outcome, number>

// Scores by outcome, with and without both think tags. `malformed`: JSON, but no list of calls; `none`: no block, or none that parses.
// v0 binary; v1 adds 0.2 for thinking and takes 0.2 for wrong calls; v2 asks for no thought; v3, v4 partial credit.
const tables: Record<Variant, { thought: Table; silent: Table }> = {
  v0: { thought: row(1, 0, 0, 0, 0), silent: row(0, 0, 0, 0, 0) },
  v1: { thought: row(1.2, -0.2, -0.2, -0.2, 0), silent: row(1, 0, 0, 0, 0) },
  v2: { thought: row(1, 0, 0, 0, 0), silent: row(1, 0, 0, 0, 0) },
  v3: { thought: row(1, 0.2, 0.2, 0.2, 0.2), silent: row(0.8, 0, 0, 0, 0) },
  v4: { thought: row(1, 0.4, 0.2, 0.2, 0.2), silent: row(0.8, 0.2, 0, 0, 0) },
  llama: { thought: row(1, 0, 0, 0, 0), silent: row(0, 0, 0, 0, 0) },
}

function row(exact: number, names: number, wrong: number, malformed: number, none: number): Table {
  return { exact, names, wrong, malformed, none }
}

/**
 * Tool-N1's rule reward of one reply (arXiv 2505.00024, released code). Any completion gives a number.
 *
 * Throws a TypeError (`ERR_TRUTH`) where the truth itself is not a list of calls, a RangeError (`ERR_CONFIG`) for an unknown variant.
 */
export function scoreToolCalls(completion: string, truth: Truth, variant: Variant = 'v0'): ToolCallScore {
  return scoreReply(parseToolCalls(completion, checked(variant)), truth, variant)
}

/** {@link scoreToolCalls} of a reply that is already read, by the same variant. */
export function scoreReply(reply: ParsedReply, truth: Truth, variant: Variant): ToolCallScore {
  const table = tables[variant]
  const { outcome, match, crashed } = judge(reply, truth)
  const thinks = reply.thinks || variant === 'v2'
  const format = Number(thinks && reply.status === 'calls')
  const parts = { format, name: Number(match?.names ?? false), arguments: Number(match?.exact ?? false) }
  const explain = [thinks ? '' : 'no <think> and </think>', reply.problem || (match?.difference ?? '')]
    .filter(Boolean)
    .join('; ')
  // with no block at all the llama variant takes silence for the right answer to a question that needs no call
  if (variant === 'llama' && reply.status === 'no_block' && readTruth(truth).length === 0) {
    return { reward: 1, parts, explain: 'no call, none expected' }
  }
  // the released scorers iterate over a number or a boolean and raise: no score, so 0
  const reward = crashed ? 0 : table[reply.thinks ? 'thought' : 'silent'][outcome]
  return { reward, parts, explain: explain || 'match' }
}

function judge(reply: ParsedReply, truth: Truth): { outcome: Outcome; match: CallMatch | null; crashed: boolean } {
  const expected = readTruth(truth)
  if (reply.status === 'no_block' || reply.status === 'not_json')
    return { outcome: 'none', match: null, crashed: false }
  if (reply.status === 'not_calls') {
    // an empty string is an empty sequence to the released code: no calls
    const empty = reply.value === '' && expected.length === 0
    const crashed = !(typeof reply.value === 'string' || Array.isArray(reply.value) || reply.value instanceof Map)
    return { outcome: empty ? 'exact' : reply.value === '' ? 'wrong' : 'malformed', match: null, crashed }
  }
  const match = compareCalls(reply.calls, expected)
  return { outcome: match.exact ? 'exact' : match.names ? 'names' : 'wrong', match, crashed: false }
}

/** The same as a reward function for a trainer; a sample whose example has no truth gets null ("does not apply"). */
export function toolCallReward(variant: Variant = 'v0'): RewardFunction {
  checked(variant)
  return named(variant, ({ completion, example }) =>
    example.truth === undefined ? null : scoreToolCalls(completion, example.truth, variant),
  )
}

function checked(variant: Variant): Variant {
  if (variants.includes(variant)) return variant
  throw codedError(
    'RangeError',
    'ERR_CONFIG',
    `[reward] expected a variant of ${variants.join(', ')}, got ${String(variant)}`,
  )
}
