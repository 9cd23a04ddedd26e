// Function descriptions as BFCL's prompts show them: with a hint on the language, Java's and JavaScript's types as text. The checker reads
// the descriptions as they were before.

import type { Tool } from '../../data/example.js'
import type { JsonObject, JsonValue } from '../../text/json.js'
import { printJson, toPlain } from '../../text/json-print.js'
import { type Category, type Language, languageOf } from './categories.js'

const hints: Record<Language, string> = {
  python: ' Note that the provided function is in Python 3 syntax.',
  java: ' Note that the provided function is in Java 8 SDK syntax.',
  javascript: ' Note that the provided function is in JavaScript syntax.',
}
const languageNames = { java: 'Java', javascript: 'JavaScript' } as const

/** The descriptions of a question's functions, ready for a prompt. The originals stay as they are. */
export function promptDocs(functions: readonly JsonObject[], category: Category): JsonObject[] {
  const language = languageOf(category)
  return functions.map((description) => {
    const copy: JsonObject = new Map(description)
    copy.set('description', text(description.get('description')) + hints[language])
    const parameters = description.get('parameters')
    if (language === 'python' || !(parameters instanceof Map)) return copy
    const properties = parameters.get('properties')
    if (!(properties instanceof Map)) return copy
    const shown = [...properties].map(([name, value]): [string, JsonValue] => [
      name,
      value instanceof Map ? asText(value, language) : value,
    ])
    return copy.set('parameters', new Map(parameters).set('properties', new Map(shown)))
  })
}

const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')

/** A parameter of Java or JavaScript: a string, whose description says what it stands for. */
function asText(parameter: JsonObject, language: 'java' | 'javascript'): JsonObject {
  const copy: JsonObject = new Map(parameter)
  const type = text(parameter.get('type'))
  const name = languageNames[language]
  let description = text(parameter.get('description'))
  description +=
    type === 'any'
      ? ` This parameter can be of any type of ${name} object in string representation.`
      : ` This is ${name} ${type} type parameter in string representation.`
  const lists = language === 'java' ? ['ArrayList', 'Array'] : ['array']
  const items = parameter.get('items')
  if (lists.includes(type)) {
    const itemType = items instanceof Map ? text(items.get('type')) : ''
    description += ` The list elements are of type ${itemType}; they are not in string representation.`
    copy.delete('items')
  }
  const properties = parameter.get('properties')
  if (language === 'javascript' && type === 'dict' && properties !== undefined) {
    description += ` The dictionary entries have the following schema; they are not in string representation. ${printJson(properties)}`
    copy.delete('properties')
  }
  return copy.set('description', description).set('type', 'string')
}

/** BFCL's types as JSON Schema's, where endpoints take tools natively. */
const schemaTypes: Readonly<Record<string, string>> = {
  integer: 'integer',
  number: 'number',
  float: 'number',
  string: 'string',
  boolean: 'boolean',
  bool: 'boolean',
  array: 'array',
  list: 'array',
  dict: 'object',
  object: 'object',
  tuple: 'array',
  any: 'string',
  byte: 'integer',
  short: 'integer',
  long: 'integer',
  double: 'number',
  char: 'string',
  ArrayList: 'array',
  Array: 'array',
  HashMap: 'object',
  Hashtable: 'object',
  Queue: 'array',
  Stack: 'array',
  Any: 'string',
  String: 'string',
  Bigint: 'integer',
}

/** Tools for an endpoint: types of JSON Schema, and `_` for the dots in names, which OpenAI's form refuses. */
export function nativeTools(docs: readonly JsonObject[]): Tool[] {
  return docs.map((description) => {
    const copy: JsonObject = new Map(description)
    copy.set('name', text(description.get('name')).replaceAll('.', '_'))
    const parameters = description.get('parameters')
    const schema = parameters instanceof Map ? withSchemaTypes(parameters) : new Map()
    copy.set('parameters', schema.set('type', 'object'))
    return { type: 'function', function: toPlain(copy) as Tool['function'] }
  })
}

/** Types are changed wherever a schema may stand: in properties and items, to any depth. */
function withSchemaTypes(schema: JsonObject): JsonObject {
  const copy: JsonObject = new Map(schema)
  const type = text(schema.get('type'))
  copy.set('type', (Object.hasOwn(schemaTypes, type) ? schemaTypes[type] : undefined) ?? 'string')
  if (type === 'float') {
    copy.set('format', 'float').set('description', `${text(schema.get('description'))} This is a float type value.`)
  }
  const properties = schema.get('properties')
  if (properties instanceof Map) {
    const typed = [...properties].map(([name, value]): [string, JsonValue] => [
      name,
      value instanceof Map ? withSchemaTypes(value) : value,
    ])
    copy.set('properties', new Map(typed))
  }
  const items = schema.get('items')
  if (items instanceof Map) copy.set('items', withSchemaTypes(items))
  return copy
}
