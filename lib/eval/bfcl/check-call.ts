// BFCL's rules for one call: the function's name, required arguments, then each argument's type and value, then what is missing. The
// first thing wrong is reported.

import { pyRepr } from '../../text/python/repr.js'
import { type PyDict, PyTuple, type PyValue, pyIncludes, pyType } from '../../text/python/value.js'
import type { Language } from './categories.js'
import { checkDict, checkList, checkListOfDicts, checkString, type Failure } from './check-value.js'
import { javaValue } from './java-values.js'
import { jsValue } from './js-values.js'
import { OfficialError } from './official-error.js'
import type { FunctionSchema, GroundTruth } from './types.js'

/** Declared types as the Python types that values must have. */
const pythonTypes: Record<Language, Readonly<Record<string, string>>> = {
  python: {
    string: 'str',
    integer: 'int',
    float: 'float',
    boolean: 'bool',
    array: 'list',
    tuple: 'list',
    dict: 'dict',
    any: 'str',
  },
  java: {
    byte: 'int',
    short: 'int',
    integer: 'int',
    float: 'float',
    double: 'float',
    long: 'int',
    boolean: 'bool',
    char: 'str',
    Array: 'list',
    ArrayList: 'list',
    Set: 'set',
    HashMap: 'dict',
    Hashtable: 'dict',
    Queue: 'list',
    Stack: 'list',
    String: 'str',
    any: 'str',
  },
  javascript: {
    String: 'str',
    integer: 'int',
    float: 'float',
    Bigint: 'int',
    Boolean: 'bool',
    dict: 'dict',
    array: 'list',
    any: 'str',
  },
}

const withItems: Record<Language, readonly string[]> = {
  python: ['array', 'tuple'],
  java: ['Array', 'ArrayList', 'array'],
  javascript: ['Array', 'ArrayList', 'array'],
}

function pythonType(language: Language, declared: string | undefined): string {
  const types = pythonTypes[language]
  if (declared !== undefined && Object.hasOwn(types, declared)) return types[declared]!
  throw new OfficialError(`the schema's type ${declared ?? '(none)'} is unknown`)
}

/** With `underscoreToDot` the model was shown names with `_` where the benchmark has dots. */
export interface CheckOptions {
  underscoreToDot: boolean
}

/** Null where `output` is the call that `truth` asks for. */
export function checkCall(
  schema: FunctionSchema | undefined,
  output: PyDict,
  truth: GroundTruth,
  language: Language,
  { underscoreToDot }: CheckOptions,
): Failure | null {
  if (schema === undefined) throw new OfficialError(`no function is called ${truth.name}`)
  const name = underscoreToDot ? schema.name.replaceAll('.', '_') : schema.name
  const given = output.get(name)
  if (given === undefined) {
    return fail('wrong_func_name', `Function name ${pyRepr(name)} not found in model output.`)
  }
  if (!(given instanceof Map)) throw new OfficialError(`the arguments ${pyRepr(given)} are no dict`)
  for (const parameter of schema.required) {
    if (!given.has(parameter)) return fail('missing_required', `Missing required parameter: ${pyRepr(parameter)}.`)
  }
  for (const [parameter, value] of given) {
    const declared = typeof parameter === 'string' ? schema.properties.get(parameter) : undefined
    const alternatives = typeof parameter === 'string' ? truth.arguments.get(parameter) : undefined
    if (typeof parameter !== 'string' || declared === undefined || alternatives === undefined) {
      const shown = pyRepr(typeof parameter === 'string' ? parameter : parameter.value)
      return fail('unexpected_param', `Unexpected parameter: ${shown}.`)
    }
    const failure = checkArgument(parameter, value, declared, alternatives, language)
    if (failure) return failure
  }
  for (const [parameter, alternatives] of truth.arguments) {
    if (!given.has(parameter) && !pyIncludes(alternatives, '')) {
      return fail(
        'missing_optional',
        `Optional parameter ${pyRepr(parameter)} not provided and not marked as optional.`,
      )
    }
  }
  return null
}

const fail = (what: string, error: string): Failure => ({ errorType: `simple_function_checker:${what}`, error })

function checkArgument(
  name: string,
  given: PyValue,
  declared: { type: string | undefined; items: string | undefined },
  alternatives: readonly PyValue[],
  language: Language,
): Failure | null {
  const type = declared.type ?? ''
  const expected = pythonType(language, declared.type)
  const hasItems = withItems[language].includes(type)
  if (language !== 'python' && typeof given !== 'string') {
    const errorType = language === 'java' ? 'type_error:java' : 'type_error:js'
    return { errorType, error: wrongType(name, 'String', given) }
  }
  const items = hasItems ? pythonType(language, declared.items) : null
  const value = converted(given, type, hasItems ? declared.items : undefined, language)
  const { failure, isVariable } = checkType(name, value, alternatives, type, expected, items)
  if (failure) return failure
  if (!isVariable) {
    if (expected === 'dict') return checkDict(value, alternatives)
    if (expected === 'list' && items === 'dict') return checkListOfDicts(value as PyValue[], alternatives)
    if (expected === 'str') return checkString(name, value as string, alternatives)
    if (expected === 'list') return checkList(name, value as PyValue[], alternatives)
  }
  if (pyIncludes(alternatives, value)) return null
  return {
    errorType: 'value_error:others',
    error: `Invalid value for parameter ${pyRepr(name)}: ${pyRepr(value)}. Expected one of ${pyRepr([...alternatives])}.`,
  }
}

/** What the checker makes of an argument before it looks at its type. */
function converted(value: PyValue, type: string, items: string | undefined, language: Language): PyValue {
  if (language === 'java') return javaValue(value as string, type, items)
  if (language === 'javascript') return jsValue(value as string, type, items)
  if (type === 'tuple' && value instanceof PyTuple) return [...value.items]
  return type === 'float' && typeof value === 'bigint' ? Number(value) : value
}

/**
 * A value may also have the type of the first alternative that is not `""` where that differs from the declared one: the answer is then
 * taken for a variable's name and compared as it stands.
 */
function checkType(
  name: string,
  value: PyValue,
  alternatives: readonly PyValue[],
  declared: string,
  expected: string,
  items: string | null,
): { failure: Failure | null; isVariable: boolean } {
  const first = alternatives.find((alternative) => alternative !== '')
  const answerType = first === undefined ? null : pyType(first)
  const isVariable = answerType !== null && answerType !== expected
  const type = pyType(value)
  if (type === expected) {
    if (items === null || alternatives.some((alternative) => itemsFit(name, value as PyValue[], alternative, items))) {
      return { failure: null, isVariable }
    }
    if (answerType === type) {
      const error = `Nested type checking failed for parameter ${pyRepr(name)}. Expected outer type ${declared} with inner type ${items}. Parameter value: ${pyRepr(value)}.`
      return { failure: { errorType: 'type_error:nested', error }, isVariable: true }
    }
  } else if (answerType === type) return { failure: null, isVariable: true }
  return { failure: { errorType: 'type_error:simple', error: wrongType(name, declared, value) }, isVariable: false }
}

/** An alternative that is no list lets every list pass. */
function itemsFit(name: string, value: readonly PyValue[], alternative: PyValue, items: string): boolean {
  if (!Array.isArray(alternative)) return true
  return value.every((item) => checkType(name, item, alternative, items, items, null).failure === null)
}

function wrongType(name: string, declared: string, value: PyValue): string {
  return `Incorrect type for parameter ${pyRepr(name)}. Expected type ${declared}, got ${pyType(value)}. Parameter value: ${pyRepr(value)}.`
}
