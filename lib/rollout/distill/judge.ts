import { parseToolCalls } from '../../reward/parse.js'
import { scoreToolCalls } from '../../reward/tool-call.js'
import { completionOf } from '../endpoint/completion.js'
import type { Outcome } from '../endpoint/endpoint.js'

/** What SFT shall teach: thoughts and calls, or the calls alone. */
export type LessonForm = 'reason' | 'no-reason'

/** Why an answer of the teacher is not kept. */
export const rejections = {
  refused: 'the endpoint refused the request',
  filtered: 'withheld by the endpoint',
  cut: 'cut at the limit of tokens',
  thought: 'no thought, or an empty one',
  block: 'no <tool_call> block',
  json: 'the block is not JSON',
  calls: 'the block is no list of calls',
  names: 'wrong names of tools',
  arguments: 'wrong arguments',
} as const

export type RejectionReason = keyof typeof rejections

/** An answer judged: the reply to teach, or why there is none. */
export type Judged =
  | { reply: string; reason: null; explain: '' }
  | { reply: null; reason: RejectionReason; explain: string }

const [open, close] = ['<tool_call>', '</tool_call>']

/**
 * Decides by the reward whether an answer is one to learn from. What follows the first `</tool_call>` is cut off first, as Tool-N1's
 * `lam_data_process.py` does: readers of replies differ in whether the first or the last block counts, and this leaves one.
 *
 * The reward looks for think tags only; a thought without a word is none here.
 *
 * @throws TypeError `ERR_TRUTH` where the truth is no list of calls
 */
export function judgeAnswer({ answer, refusal }: Outcome, truth: string, form: LessonForm): Judged {
  if (!answer) return rejected('refused', refusal)
  if (answer.finishReason === 'filtered') return rejected('filtered', '')
  const completion = completionOf(answer)
  const end = completion.indexOf(close)
  const reply = (end < 0 ? completion : completion.slice(0, end + close.length)).trim()
  const thinks = form === 'reason'
  const score = scoreToolCalls(reply, truth, thinks ? 'v0' : 'v2')
  if (score.reward === 1 && (!thinks || hasThought(reply))) {
    return { reply: thinks ? reply : reply.slice(reply.lastIndexOf(open)), reason: null, explain: '' }
  }
  if (answer.finishReason === 'length') return rejected('cut', score.explain)
  return rejected(reasonOf(reply, score.parts, thinks), score.explain)
}

function rejected(reason: RejectionReason, explain: string): Judged {
  return { reply: null, reason, explain: explain || rejections[reason] }
}

/** The first thing that is wrong, from the form to the contents. */
function reasonOf(reply: string, parts: { name: number; arguments: number }, thinks: boolean): RejectionReason {
  const { status } = parseToolCalls(reply)
  if (status === 'no_block') return 'block'
  if (status === 'not_json') return 'json'
  if (status === 'not_calls') return 'calls'
  if (parts.name === 0) return 'names'
  if (parts.arguments === 0) return 'arguments'
  return thinks ? 'thought' : 'calls'
}

function hasThought(reply: string): boolean {
  const from = reply.indexOf('<think>') + '<think>'.length
  const to = reply.indexOf('</think>', from)
  return to > from && reply.slice(from, to).trim() !== ''
}
