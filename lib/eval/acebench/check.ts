import { type PyDict, type PyValue, pyEqual } from '../../text/python/value.js'
import type { Category } from './categories.js'
import { CheckerException, checkArgument, failed, passed } from './check-value.js'
import type { AceQuestion, DecodedCall, FunctionSchema, Verdict } from './types.js'

/**
 * Calls against the right answers of a question of a normal category: with several right answers, one that passes is enough, and the
 * first one's error is reported.
 */
export function checkCalls(calls: readonly DecodedCall[], { truth, schemas }: AceQuestion): Verdict {
  let first: Verdict | null = null
  for (const answer of Array.isArray(truth) ? truth : [truth]) {
    const verdict = guarded(() => checkAnswer(calls, answer, schemas))
    if (verdict.valid) return verdict
    first ??= verdict
  }
  return first ?? failed('checker_exception', 'there is no right answer')
}

function guarded(check: () => Verdict): Verdict {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof CheckerException)) throw error
    return failed('checker_exception', `the official checker stops here: ${error.message}`)
  }
}

/** A right call: its key in the file, which may end in a number, its name without that, its arguments. */
interface RightCall {
  key: string
  name: string
  args: PyDict
}

function rightCalls(answer: PyValue): RightCall[] {
  if (!(answer instanceof Map)) throw new CheckerException('a right answer that is no object')
  return [...answer].map(([key, args]) => {
    if (typeof key !== 'string' || !(args instanceof Map)) throw new CheckerException('a right call without arguments')
    return { key, name: key.replace(/_\d+$/, ''), args }
  })
}

/**
 * As many calls, the same names as often; then each right call, in order, is tried on the calls in order until one passes. Calls are not
 * used up: one may satisfy two right calls. Where none passes, the error is that of the last one tried.
 */
function checkAnswer(calls: readonly DecodedCall[], answer: PyValue, schemas: readonly FunctionSchema[]): Verdict {
  const rights = rightCalls(answer)
  if (calls.length !== rights.length) {
    return failed('wrong functions number', `expected ${rights.length} calls, got ${calls.length}`)
  }
  const mismatch = compareNames(calls, rights)
  if (mismatch !== null) return failed('function_mismatch', mismatch)
  for (const right of rights) {
    const schema = schemas.find(({ name }) => right.key.includes(name))
    let verdict: Verdict = passed
    for (const call of calls) {
      verdict =
        call.name === right.name
          ? checkCall(call, right, schema)
          : failed('simple_function_checker:unclear', `expected a call of ${right.name}, got one of ${call.name}`)
      if (verdict.valid) break
    }
    if (!verdict.valid) return verdict
  }
  return passed
}

function compareNames(calls: readonly DecodedCall[], rights: readonly RightCall[]): string | null {
  const counts = new Map<string, number>()
  for (const { name } of rights) counts.set(name, (counts.get(name) ?? 0) + 1)
  for (const { name } of calls) counts.set(name, (counts.get(name) ?? 0) - 1)
  for (const [name, count] of counts) {
    if (count !== 0) return `expected ${count > 0 ? 'more' : 'fewer'} calls of ${name === '' ? 'a nameless one' : name}`
  }
  return null
}

/**
 * One call. Only `required` arguments have to be there; right ones beyond them may be left out. `schema` is that of the first function
 * whose name occurs in the right call's key.
 */
function checkCall({ name, args }: DecodedCall, right: RightCall, schema: FunctionSchema | undefined): Verdict {
  if (schema?.properties === undefined || schema.properties === null) throw new CheckerException('no description')
  if (args.size === 0) {
    return schema.takesNothing ? passed : failed('wrong_param', `${name}: expected arguments, got none`)
  }
  if (schema.takesNothing || right.args.size === 0) return failed('wrong_param', `${name}: expected no arguments`)
  if (schema.name !== name) return failed('wrong_function_name', `expected ${schema.name}, got ${name}`)
  if (schema.required === null) throw new CheckerException('no list of required arguments')
  for (const parameter of schema.required) {
    if (!args.has(parameter)) return failed('lack_args', `${name}: the argument ${parameter} is missing`)
  }
  for (const [key, value] of args) {
    const parameter = typeof key === 'string' ? schema.properties.get(key) : undefined
    const expected = typeof key === 'string' ? right.args.get(key) : undefined
    if (parameter === undefined || expected === undefined) {
      return failed('addition_args', `${name}: there is no argument ${typeof key === 'string' ? key : '**'}`)
    }
    const verdict = checkArgument(`${name}: argument ${String(key)}`, value, expected, parameter)
    if (!verdict.valid) return verdict
  }
  return passed
}

/**
 * What the official checker leaves open: exactly the right calls, in any order, with exactly the right arguments (numbers by value, as
 * Python's `==`).
 */
export function isStrictMatch(calls: readonly DecodedCall[], { truth }: AceQuestion): boolean {
  return (Array.isArray(truth) ? truth : [truth]).some((answer) => {
    if (!(answer instanceof Map) || answer.size !== calls.length) return false
    const left = [...calls]
    for (const [key, args] of answer) {
      const name = typeof key === 'string' ? key.replace(/_\d+$/, '') : ''
      const found = left.findIndex((call) => call.name === name && pyEqual(call.args, args))
      if (found < 0) return false
      left.splice(found, 1)
    }
    return true
  })
}

const phrases = {
  special_incomplete: 'Missing necessary parameters',
  special_error_param: 'There is incorrect value',
  special_irrelevant: 'the limitations of the function',
} as const

/** Questions of the special categories want a sentence: substrings of the text, letter case counts. */
export function checkSpecial(text: string, category: Category, truth: PyValue): Verdict {
  const phrase = phrases[category as keyof typeof phrases]
  if (!text.includes(phrase)) return failed('error_detection', `expected the words ${JSON.stringify(phrase)}`)
  if (category === 'special_irrelevant') return passed
  if (!(truth instanceof Map)) return failed('checker_exception', 'a right answer that is no object')
  for (const [name, values] of truth as PyDict) {
    const wanted = category === 'special_incomplete' ? [name, ...listOf(values)] : listOf(values)
    const missing = wanted.find((value) => typeof value !== 'string' || !text.includes(value))
    if (missing !== undefined) return failed('error_correction', `expected ${JSON.stringify(missing)} to be named`)
  }
  return passed
}

const listOf = (value: PyValue): readonly PyValue[] => (Array.isArray(value) ? value : [value])
