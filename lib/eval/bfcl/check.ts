// A decoded answer's verdict, by the rules of BFCL's evaluation (versions 3 and 4 have the same).

import type { PyDict, PyValue } from '../../text/python/value.js'
import { isRelevance, languageOf } from './categories.js'
import { type CheckOptions, checkCall } from './check-call.js'
import type { Failure } from './check-value.js'
import { OfficialError } from './official-error.js'
import type { BfclQuestion, Verdict } from './types.js'

/** What a decoder made of an answer: a Python value, or why it could not. */
export type Decoded = { value: PyValue } | { failure: string }

const right: Verdict = { valid: true, errorType: null, errors: [] }
const wrong = (errorType: string, ...errors: string[]): Verdict => ({ valid: false, errorType, errors })

/** The verdict on a decoded answer to a question. */
export function judge(question: BfclQuestion, decoded: Decoded, options: CheckOptions): Verdict {
  if (isRelevance(question.category)) return judgeRelevance(question, decoded)
  if ('failure' in decoded) {
    return wrong('ast_decoder:decoder_failed', `Invalid syntax. Failed to decode AST. ${decoded.failure}`)
  }
  const calls = decoded.value
  if (!isCallList(calls)) {
    return wrong('ast_decoder:decoder_wrong_output_format', 'The answer is not a list of calls.')
  }
  try {
    return checkCalls(question, calls, options)
  } catch (error) {
    if (error instanceof OfficialError) return wrong('checker:raised', `The official checker raises: ${error.message}`)
    throw error
  }
}

/** A question without right calls: is there a call at all? Names and arguments do not count, and what cannot be decoded is no call. */
function judgeRelevance({ category }: BfclQuestion, decoded: Decoded): Verdict {
  const calls = 'value' in decoded && isCallList(decoded.value) ? decoded.value : []
  if (category === 'live_relevance') {
    if (calls.length > 0) return right
    const why = 'failure' in decoded ? decoded.failure : 'None'
    return wrong('relevance_error:decoder_failed', `Invalid syntax. Failed to decode AST when it should have. ${why}`)
  }
  if (calls.length === 0) return right
  return wrong('irrelevance_error:decoder_success', 'Valid syntax. Successfully decode AST when it should not.')
}

/** A list of dicts with one key each, whose value is a dict: `[{name: {argument: value}}]`. */
function isCallList(value: PyValue): value is PyDict[] {
  if (!Array.isArray(value)) return false
  return value.every((item) => item instanceof Map && item.size === 1 && [...item.values()][0] instanceof Map)
}

function checkCalls(question: BfclQuestion, calls: readonly PyDict[], options: CheckOptions): Verdict {
  const { category, truth, schemas } = question
  const language = languageOf(category)
  const count = 'Wrong number of functions.'
  if (category.includes('parallel')) {
    if (calls.length !== truth.length) return wrong('parallel_function_checker_no_order:wrong_count', count)
    return checkUnordered(question, calls, options)
  }
  const multiple = category.includes('multiple')
  if (calls.length !== (multiple ? truth.length : 1)) {
    return wrong(`${multiple ? 'multiple' : 'simple'}_function_checker:wrong_count`, count)
  }
  const expected = truth[0]
  const call = calls[0]
  if (expected === undefined || call === undefined) throw new OfficialError('the question has no right call')
  const schema = multiple ? schemas.find(({ name }) => name === expected.name) : schemas[0]
  return verdictOf(checkCall(schema, call, expected, language, options))
}

const verdictOf = (failure: Failure | null): Verdict => (failure ? wrong(failure.errorType, failure.error) : right)

/** Each right call takes the first output left that passes; nothing is taken back. */
function checkUnordered(question: BfclQuestion, calls: readonly PyDict[], options: CheckOptions): Verdict {
  const { category, truth, schemas } = question
  const language = languageOf(category)
  const left = new Set(calls.keys())
  for (const [i, expected] of truth.entries()) {
    const schema = schemas.find(({ name }) => name === expected.name)
    const failures: [number, Failure][] = []
    const matched = [...left].some((index) => {
      const failure = checkCall(schema, calls[index]!, expected, language, options)
      if (failure) failures.push([index, failure])
      return failure === null && left.delete(index)
    })
    if (matched) continue
    const tried = failures.map(([index, { error, errorType }]) => `Model Result Index ${index}: ${errorType}: ${error}`)
    const header = `Could not find a matching function among index [${[...left].join(', ')}] of model output for index ${i} of possible answers.`
    return {
      ...wrong('parallel_function_checker_no_order:cannot_find_match', header, ...tried),
      sub: failures.map(([index, { errorType }]) => [index, errorType]),
    }
  }
  return right
}
