// A conversation becomes one sample for each turn to learn, and each sample repeats the turns before it.

import type { JsonObject, JsonValue } from '../../text/json.js'
import { JsonNumber } from '../../text/json.js'
import { BadRecord } from '../problems.js'
import type { Sample, Turn } from '../sample.js'
import { turnId } from './fields.js'

/** A turn to learn. */
export interface Lesson extends Pick<Sample, 'calls' | 'reply'> {
  /** How many turns of the conversation are its prompt. */
  before: number
  /** It takes a number and gives no sample, so that the ids of others do not change with what is left out. */
  dropped?: boolean
}

/**
 * Characters that the samples of one conversation may hold together. N turns to learn repeat N²/2 others: without a bound, a megabyte of
 * short turns would fill the memory, and a disk when it is written. A hundred turns of an agent with 300,000 characters take a quarter.
 */
export const maxConversation = 64 * 2 ** 20

/**
 * The samples of a conversation, in order; what they share, they share in memory too.
 *
 * @throws a {@link BadRecord} of kind `size` where they are larger together than {@link maxConversation}. Takes time of the record's size.
 */
export function conversationSamples(
  id: string,
  shared: Omit<Sample, 'id' | 'turns' | 'calls' | 'reply'>,
  turns: readonly Turn[],
  lessons: readonly Lesson[],
): Sample[] {
  if (lessons.length > 1) checkSize(shared, turns, lessons)
  return lessons.flatMap(({ before, dropped, ...answer }, i) =>
    dropped ? [] : [{ id: turnId(id, i), ...shared, turns: turns.slice(0, before), ...answer }],
  )
}

function checkSize(
  { tools, extra, role = '' }: Pick<Sample, 'tools' | 'extra' | 'role'>,
  turns: readonly Turn[],
  lessons: readonly Lesson[],
): void {
  const each = sizeOf([...tools]) + (extra ? sizeOf(extra) : 0) + role.length
  const upTo = [0]
  for (const [i, turn] of turns.entries()) upTo.push((upTo[i] ?? 0) + turnSize(turn))
  let total = 0
  for (const { before } of lessons) total += each + (upTo[before] ?? 0)
  if (total <= maxConversation) return
  const limit = maxConversation >> 20
  throw new BadRecord(
    'size',
    `expected a conversation whose samples hold at most ${limit} MiB of text together, each with all turns before it, got ${lessons.length} samples with ${Math.ceil(total / 2 ** 20)} MiB`,
  )
}

/** What a turn takes beside its text: its role, names of keys, quotes. */
const turnFrame = 32

const turnSize = ({ content, calls }: Turn): number => turnFrame + content.length + (calls ? sizeOf([...calls]) : 0)

/** Characters of a value as JSON text, escapes left out of account. */
function sizeOf(value: JsonValue): number {
  if (typeof value === 'string') return value.length + 2
  if (value instanceof JsonNumber) return value.lexeme.length
  let size = 4
  if (Array.isArray(value)) for (const item of value) size += sizeOf(item)
  else if (value instanceof Map) for (const [key, item] of value as JsonObject) size += key.length + sizeOf(item)
  return size
}
