import type { Truth } from './match.js'
import { matchToolCalls } from './match.js'
import { parseToolCalls, type Variant } from './parse.js'

/** What one reply got right, whatever the reward pays for it. */
export interface ReplyCheck {
  /** Think tags (not for v2) and a block that is a list of calls. */
  format: boolean
  /** The right names, each as often. */
  name: boolean
  /** Exactly the expected calls, in a reply of the right format. */
  exact: boolean
  /** No `<tool_call>` block, or one that is no list of calls. */
  invalid: boolean
}

/** Checks one reply. Throws `ERR_TRUTH` as matchToolCalls does. */
export function checkReply(completion: string, truth: Truth, variant: Variant = 'v0'): ReplyCheck {
  const reply = parseToolCalls(completion, variant)
  const invalid = reply.status !== 'calls'
  const format = !invalid && (reply.thinks || variant === 'v2')
  if (invalid) return { format, name: false, exact: false, invalid }
  const match = matchToolCalls(reply.calls, truth)
  return { format, name: match.names, exact: match.exact && format, invalid }
}

/** Shares over a batch, named as the trainer logs them; NaN over no replies. */
export function replyRates(checks: readonly ReplyCheck[]): {
  'reward/format_rate': number
  'reward/name_rate': number
  invalid_tool_call_rate: number
} {
  const rate = (key: keyof ReplyCheck) => checks.filter((check) => check[key]).length / checks.length
  return {
    'reward/format_rate': rate('format'),
    'reward/name_rate': rate('name'),
    invalid_tool_call_rate: rate('invalid'),
  }
}
