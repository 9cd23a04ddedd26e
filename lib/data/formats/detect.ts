import type { JsonObject, JsonValue } from '../../text/json.js'
import { hasToolN1Tools } from '../../text/prompts/tool-n1.js'
import type { DataFormat } from '../sample.js'
import type { RecordReader } from './fields.js'
import { readMessages } from './messages.js'
import { hasToolText, readRlla } from './rlla.js'
import { readToolN1 } from './tool-n1.js'
import { readToolAce } from './toolace.js'
import { readXlam } from './xlam.js'

export const readers: Record<DataFormat, RecordReader> = {
  xlam: readXlam,
  toolace: readToolAce,
  'tool-n1': readToolN1,
  messages: readMessages,
  rlla: readRlla,
}

/** The format that a record's keys speak of; null where they speak of none. */
export function detectFormat(record: JsonObject): DataFormat | null {
  if (record.has('query') && record.has('answers')) return 'xlam'
  if (record.has('raw_system') && record.has('answer')) return 'tool-n1'
  if (hasToolText(record.get('instruction'))) return 'rlla'
  const turns = record.get('messages') ?? record.get('prompt')
  if (record.has('reward_model') || (record.has('answer') && Array.isArray(turns))) {
    const system = contentOf(turns)
    if (hasToolText(system)) return 'rlla'
    if (typeof system === 'string' && hasToolN1Tools(system)) return 'tool-n1'
  }
  if (record.has('messages') || Array.isArray(turns)) return 'messages'
  const conversations = record.get('conversations')
  const [first] = Array.isArray(conversations) ? conversations : []
  if (first instanceof Map && first.has('role')) return 'messages'
  return conversations === undefined ? null : 'toolace'
}

function contentOf(turns: JsonValue | undefined): JsonValue | undefined {
  const [first] = Array.isArray(turns) ? turns : []
  return first instanceof Map ? first.get('content') : undefined
}
