// Credit by argument, for models that are seldom wholly right. Finer than Tool-N1's v4, whose credit for names alone taught a small model
// to leave arguments out (docs/results.md); ToolRL (arXiv 2504.13958) counts the same three things, with weights of its own.

import { codedError } from '../errors.js'
import type { JsonValue } from '../text/json.js'
import { printJson } from '../text/json-print.js'
import { readTruth, type ToolCall, type Truth, toParsedCall } from './match.js'
import { named } from './named.js'
import { type ParsedCall, parseToolCalls } from './parse.js'
import { scoreReply } from './tool-call.js'
import type { RewardFunction } from './types.js'

export interface PartialCredit {
  /** For a well-formed reply, whatever it calls. Default 0.1. */
  format?: number
  /** Times {@link callOverlap}, on top. Default 0.4. Together at most 1, which is what exactly right calls get. */
  overlap?: number
  /** What a call or an argument too many costs in the overlap, beside the 1 of a missing one. Default 0.5: small models leave out more. */
  tooMany?: number
}

/**
 * How much of the expected calls the given ones say, from 0 to 1, where a call says its name, the name of each argument and the value of
 * each: both / (both + missing + `tooMany` * too many), which is Tversky's index, and Jaccard's where `tooMany` is 1. Calls of one name
 * are paired, those that agree most first. Values are equal as in {@link matchToolCalls}. 1 for no calls where none is expected.
 *
 * Throws a TypeError (`ERR_TRUTH`) where `truth` is not a list of calls.
 */
export function callOverlap(calls: readonly (ToolCall | ParsedCall)[], truth: Truth, tooMany = 1): number {
  const given = calls.map((call) => said(toParsedCall(call)))
  const expected = readTruth(truth).map(said)
  const both = inBoth(given, expected)
  const missing = size(expected) - both
  const extra = size(given) - both
  if (missing + extra === 0) return 1
  return both === 0 ? 0 : both / (both + missing + tooMany * extra)
}

/**
 * 1 for a well-formed reply with exactly the right calls (Tool-N1's v0), 0 for one that is not well formed, and `format` + `overlap` *
 * {@link callOverlap} between. `parts` are v0's and `overlap`. A sample whose example has no truth gets null ("does not apply").
 *
 * Throws a RangeError (`ERR_CONFIG`) for credits that are negative or more than 1 together.
 */
export function partialCreditReward({
  format = 0.1,
  overlap = 0.4,
  tooMany = 0.5,
}: PartialCredit = {}): RewardFunction {
  if (!(format >= 0 && overlap >= 0 && format + overlap <= 1 && tooMany >= 0)) {
    throw codedError(
      'RangeError',
      'ERR_CONFIG',
      `[reward] expected format and overlap of at least 0 and at most 1 together, and tooMany of at least 0, got ${format}, ${overlap} and ${tooMany}`,
    )
  }
  return named('partialCredit', ({ completion, example: { truth } }) => {
    if (truth === undefined) return null
    const reply = parseToolCalls(completion)
    const score = scoreReply(reply, truth, 'v0')
    const wellFormed = score.parts.format === 1
    const share = wellFormed ? callOverlap(reply.calls, truth, tooMany) : 0
    const partial = wellFormed ? format + overlap * share : 0
    return { ...score, reward: score.reward === 1 ? 1 : partial, parts: { ...score.parts, overlap: share } }
  })
}

/** A call as text that can be compared: its name, and the value of each argument. Arguments that are no object are one value. */
interface Said {
  name: string
  values: Map<string, string>
}

function said({ name, arguments: args }: ParsedCall): Said {
  const entries: [string, JsonValue][] = args instanceof Map ? [...args] : [['', args]]
  return { name: text(name), values: new Map(entries.map(([key, value]) => [key, text(value)])) }
}

function text(value: JsonValue): string {
  return printJson(value, { sortKeys: true })
}

function size(calls: Said[]): number {
  return calls.reduce((sum, { values }) => sum + 1 + 2 * values.size, 0)
}

/** What both say, calls of one name paired. */
function inBoth(given: Said[], expected: Said[]): number {
  const pairs = given.flatMap((a) =>
    expected.flatMap((b) => (a.name === b.name ? [{ a, b, both: inPair(a.values, b.values) }] : [])),
  )
  pairs.sort((one, other) => other.both - one.both)
  const taken = new Set<Said>()
  let both = 0
  for (const { a, b, both: agreed } of pairs) {
    if (taken.has(a) || taken.has(b)) continue
    taken.add(a).add(b)
    both += agreed
  }
  return both
}

function inPair(a: Said['values'], b: Said['values']): number {
  let count = 1
  for (const [key, value] of a) {
    const other = b.get(key)
    if (other !== undefined) count += other === value ? 2 : 1
  }
  return count
}
