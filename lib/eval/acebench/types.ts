import type { JsonObject } from '../../text/json.js'
import type { DecodedCall } from '../../text/python/decode.js'
import type { PyValue } from '../../text/python/value.js'
import type { Category } from './categories.js'

export interface AceQuestion {
  id: string
  category: Category
  /** The whole dialogue: `user: …\nsystem: …\nuser: …\n`; `system` is the assistant. */
  dialogue: string
  /** The sentence that tells the date; empty where none does. */
  time: string
  /** Of preference questions: who the user is, as Python prints it; empty elsewhere. */
  profile: string
  /** The descriptions as the file has them: prompts are made from them. */
  functions: readonly JsonObject[]
  /** The same, read for the checker. */
  schemas: readonly FunctionSchema[]
  /** The right answers as the file has them. */
  truth: PyValue
}

/** What the checker reads of a function's description; null where the description lacks it (then the official code stops). */
export interface FunctionSchema {
  name: string
  /** By name; null where there are no `parameters`. */
  properties: ReadonlyMap<string, ParameterSchema> | null
  required: readonly string[] | null
  /** `"parameters": {}`. */
  takesNothing: boolean
}

export interface ParameterSchema {
  type: string | null
  itemType: string | null
}

export interface Verdict {
  valid: boolean
  /** ACEBench's name of what was wrong; null where nothing was. */
  errorType: string | null
  /** What was wrong, in words. */
  error: string
}

export type { DecodedCall }
