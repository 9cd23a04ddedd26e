import type { JsonObject } from '../../text/json.js'

/** `call`: level 1, the APIs are given. `retrieve+call`: level 2, they are found with ToolSearcher first. */
export const categories = ['call', 'retrieve+call'] as const
export type Category = (typeof categories)[number]

export interface ApiBankQuestion {
  /** `level-1/FILE/ID`: unique; the benchmark's own id counts within a dialogue. */
  id: string
  category: Category
  /** The rules and the descriptions, as the file has them. */
  instruction: string
  /** The dialogue so far, ending in `Generate API Request:`. */
  input: string
  /** The descriptions at the end of the instruction: `{name, description, input_parameters, output_parameters}`. */
  apis: readonly JsonObject[]
  /** The right call as the file spells it, without `API-Request: `. */
  expected: string
  right: ApiCall
  /** Whether the call right before it in the file is the same one (the official sampler emits such a call twice). */
  duplicate: boolean
  /** Whether the official code, run with its databases, accepts the right call; null where nobody has said so. */
  officialAccepts: boolean | null
}

/** A call with its arguments as text, the only form that API-Bank's files have. */
export interface ApiCall {
  name: string
  args: ReadonlyMap<string, string>
}
