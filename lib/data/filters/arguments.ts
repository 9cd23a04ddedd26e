import { JsonNumber, type JsonObject, type JsonValue } from '../../text/json.js'
import { printJson } from '../../text/json-print.js'
import { hasType, parseType, type Type } from './type-names.js'

/** What a tool takes. */
export interface Parameters {
  properties: ReadonlyMap<string, JsonObject>
  required: ReadonlySet<string>
  /** Arguments of other names are allowed. */
  open: boolean
}

const asObject = (value: JsonValue | undefined): JsonObject | undefined => (value instanceof Map ? value : undefined)

/**
 * The parameters of a tool, written as a JSON Schema (`{type: "object", properties, required}`) or as xLAM and ToolRL write them (`{name:
 * {type, description, default}}`, where what has no default and is not called optional has to be given). Null where the tool names none.
 */
export function parametersOf(tool: JsonObject): Parameters | null {
  const schema = asObject(tool.get('parameters') ?? tool.get('input_schema'))
  if (schema === undefined || schema.size === 0) return null
  const properties = asObject(schema.get('properties'))
  if (properties && typeof schema.get('type') !== 'object') {
    const extra = schema.get('additionalProperties')
    const required = schema.get('required') ?? tool.get('required')
    return {
      properties: objectsIn(properties),
      required: new Set(Array.isArray(required) ? required.filter((name) => typeof name === 'string') : []),
      open: properties.size === 0 || extra === true || extra instanceof Map,
    }
  }
  if (typeof schema.get('type') === 'string') return null
  const flat = objectsIn(schema)
  const required = [...flat].filter(([, value]) => !value.has('default') && !isOptional(value)).map(([name]) => name)
  return { properties: flat, required: new Set(required), open: false }
}

const isOptional = (schema: JsonObject) =>
  String(schema.get('type') ?? '')
    .toLowerCase()
    .includes('optional') || schema.get('required') === false

function objectsIn(map: JsonObject): Map<string, JsonObject> {
  return new Map([...map].map(([name, value]) => [name, asObject(value) ?? new Map()]))
}

/**
 * Why a call breaks the schema of its tool, or null. Checked are: required arguments, names that the tool does not have, types, `enum`,
 * `const`, bounds of numbers, lengths, items, nested properties, `anyOf`/`oneOf`/`allOf`. Not `pattern` and `format` (a stranger's regular
 * expression may take forever), not `$ref`.
 */
export function argumentProblem(call: JsonObject, tool: JsonObject): string | null {
  const parameters = parametersOf(tool)
  const args = asObject(call.get('arguments'))
  if (parameters === null || args === undefined) return null
  const problem = propertyProblem(args, parameters, '', 0)
  return problem === null ? null : `${call.get('name')}: ${problem}`
}

const deepest = 64

function propertyProblem(object: JsonObject, parameters: Parameters, path: string, depth: number): string | null {
  for (const name of parameters.required) if (!object.has(name)) return `expected argument ${path}${name}, got none`
  for (const [name, value] of object) {
    const schema = parameters.properties.get(name)
    if (schema === undefined) {
      if (parameters.open) continue
      return `expected arguments of the tool, got ${path}${name}`
    }
    const problem = valueProblem(value, schema, `${path}${name}`, depth + 1)
    if (problem !== null) return problem
  }
  return null
}

function valueProblem(value: JsonValue, schema: JsonObject, path: string, depth: number): string | null {
  if (depth > deepest) return null
  const expected = (what: string) => `expected argument ${path} to be ${what}, got ${brief(value)}`
  const type = typeOf(schema.get('type'))
  const nullable = value === null && (schema.get('nullable') === true || schema.get('default') === null)
  if (nullable) return null
  if (!hasType(value, type)) return expected(typeText(schema.get('type')))
  const options = schema.get('enum')
  if (Array.isArray(options) && options.length > 0 && !isOneOf(value, options))
    return expected(`one of ${options.slice(0, 6).map(brief).join(', ')}`)
  const constant = schema.get('const')
  if (constant !== undefined && !same(value, constant)) return expected(brief(constant))
  return (
    boundsProblem(value, schema, expected) ??
    nestedProblem(value, schema, path, depth) ??
    combinedProblem(value, schema, path, depth)
  )
}

function typeOf(value: JsonValue | undefined): Type {
  if (typeof value === 'string') return parseType(value)
  if (Array.isArray(value))
    return { kind: 'union', of: value.map((one) => (typeof one === 'string' ? parseType(one) : { kind: 'any' })) }
  return { kind: 'any' }
}

const typeText = (type: JsonValue | undefined) =>
  Array.isArray(type) ? type.map(String).join(' or ') : String(type).slice(0, 60)

const brief = (value: JsonValue) => {
  const text = printJson(value, { ensureAscii: false })
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function same(a: JsonValue, b: JsonValue): boolean {
  if (a instanceof JsonNumber && b instanceof JsonNumber)
    return a.isInteger && b.isInteger ? a.lexeme === b.lexeme : a.toNumber() === b.toNumber()
  return printJson(a, { sortKeys: true }) === printJson(b, { sortKeys: true })
}

/** The options of a list may be meant for the list or for its items. */
function isOneOf(value: JsonValue, options: readonly JsonValue[]): boolean {
  const listed = (one: JsonValue) => options.some((option) => same(one, option))
  return listed(value) || (Array.isArray(value) && value.every(listed))
}

function boundsProblem(value: JsonValue, schema: JsonObject, expected: (what: string) => string): string | null {
  const bound = (key: string) => {
    const limit = schema.get(key)
    return limit instanceof JsonNumber ? limit.toNumber() : undefined
  }
  const check = (size: number, least: string, most: string, unit: string) => {
    const [low, high] = [bound(least), bound(most)]
    if (low !== undefined && size < low) return expected(`at least ${low}${unit}`)
    return high !== undefined && size > high ? expected(`at most ${high}${unit}`) : null
  }
  if (value instanceof JsonNumber) {
    const number = value.toNumber()
    const [above, below] = [bound('exclusiveMinimum'), bound('exclusiveMaximum')]
    if (above !== undefined && number <= above) return expected(`above ${above}`)
    if (below !== undefined && number >= below) return expected(`below ${below}`)
    return check(number, 'minimum', 'maximum', '')
  }
  if (typeof value === 'string') return check([...value].length, 'minLength', 'maxLength', ' characters')
  return Array.isArray(value) ? check(value.length, 'minItems', 'maxItems', ' items') : null
}

function nestedProblem(value: JsonValue, schema: JsonObject, path: string, depth: number): string | null {
  const items = asObject(schema.get('items'))
  if (Array.isArray(value) && items)
    for (const [i, item] of value.entries()) {
      const problem = valueProblem(item, items, `${path}[${i}]`, depth + 1)
      if (problem !== null) return problem
    }
  const properties = asObject(schema.get('properties'))
  if (!(value instanceof Map) || properties === undefined || properties.size === 0) return null
  const nested = parametersOf(new Map([['parameters', schema]]))
  return nested && propertyProblem(value, nested, `${path}.`, depth)
}

function combinedProblem(value: JsonValue, schema: JsonObject, path: string, depth: number): string | null {
  const problems = (key: string) => {
    const list = schema.get(key)
    const schemas = Array.isArray(list) ? list.map(asObject).filter((one) => one !== undefined) : []
    return schemas.map((one) => valueProblem(value, one, path, depth + 1))
  }
  for (const key of ['anyOf', 'oneOf']) {
    const found = problems(key)
    if (found.length > 0 && found.every((problem) => problem !== null)) return found[0] as string
  }
  return problems('allOf').find((problem) => problem !== null) ?? null
}
