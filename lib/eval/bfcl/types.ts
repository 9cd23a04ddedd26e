import type { JsonObject } from '../../text/json.js'
import type { PyValue } from '../../text/python/value.js'
import type { Category } from './categories.js'

/** A message of a question as the benchmark's file has it. */
export interface BfclMessage {
  role: string
  content: string
}

/** The part of a function's description that the checker reads. */
export interface FunctionSchema {
  name: string
  /** By name: the declared type and, for collections, that of their items. */
  properties: ReadonlyMap<string, { type: string | undefined; items: string | undefined }>
  required: readonly string[]
}

/** One right call: the function and, for each argument, the values that count as right. */
export interface GroundTruth {
  name: string
  arguments: ReadonlyMap<string, readonly PyValue[]>
}

export interface BfclQuestion {
  id: string
  category: Category
  /** Single-turn questions have one list of messages, which may begin with a system message and hold turns of the assistant. */
  messages: readonly BfclMessage[]
  /** The descriptions as the file has them: prompts are made from them. */
  functions: readonly JsonObject[]
  /** The same, read for the checker. */
  schemas: readonly FunctionSchema[]
  /** The right calls; empty where the question is about relevance. */
  truth: readonly GroundTruth[]
  /** The right calls as the file has them, for score files. */
  possibleAnswer: PyValue
}

export interface Verdict {
  valid: boolean
  /** BFCL's name of what was wrong; null where nothing was. */
  errorType: string | null
  /** What was wrong, in words. */
  errors: string[]
  /** Of parallel questions without a match: which output failed with which error. */
  sub?: [index: number, errorType: string][]
}
