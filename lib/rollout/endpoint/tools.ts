import type { Tool } from '../../data/example.js'
import { parseType, type Type } from '../../data/filters/type-names.js'

/** Tools as the API takes them, and the names that they have here and there. */
export interface WireTools {
  tools: readonly Tool[]
  sentName(own: string): string
  ownName(sent: string): string
}

type Schema = Record<string, unknown>

const goodName = /^[\w-]{1,64}$/
const longestName = 60
const deepest = 64
const jsonTypes: ReadonlySet<unknown> = new Set(['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'])

/**
 * Tools for an API that refuses any that are not right: names of letters, digits, `_` and `-`, parameters in JSON Schema. Data sets write
 * names with dots, spaces and slashes, types as `dict`, `float` or `List[int], optional`, and (xLAM) parameters as `{name: {type,
 * description, default}}`. What is right already is sent as it is.
 */
export function wireTools(tools: readonly Tool[]): WireTools {
  const sent = new Map<string, string>()
  const taken = new Set(tools.map(({ function: { name } }) => name).filter((name) => goodName.test(name)))
  for (const { function: tool } of tools) {
    if (sent.has(tool.name)) continue
    sent.set(tool.name, goodName.test(tool.name) ? tool.name : freeName(tool.name, taken))
  }
  const own = new Map([...sent].map(([name, other]) => [other, name]))
  return {
    tools: tools.map((tool) => wireTool(tool, sent.get(tool.function.name)!)),
    sentName: (name) => sent.get(name) ?? name,
    ownName: (name) => own.get(name) ?? name,
  }
}

function freeName(name: string, taken: Set<string>): string {
  const base = name.replace(/[^\w-]/g, '_').slice(0, longestName) || 'tool'
  let free = base
  for (let i = 2; taken.has(free); i++) free = `${base}_${i}`
  taken.add(free)
  return free
}

function wireTool({ type, function: { description, parameters, strict } }: Tool, name: string): Tool {
  const text = typeof description === 'string' ? { description } : {}
  const rules = typeof strict === 'boolean' ? { strict } : {}
  return { type, function: { name, ...text, parameters: wireParameters(parameters), ...rules } }
}

function wireParameters(parameters: unknown): Schema {
  if (!isSchema(parameters) || Object.keys(parameters).length === 0) return { type: 'object', properties: {} }
  if (isSchema(parameters.properties) && !isSchema(parameters.type)) {
    return { ...wireSchema(parameters, 0), type: 'object' }
  }
  if (typeof parameters.type === 'string') return { type: 'object', properties: {} }
  const required = Object.entries(parameters).flatMap(([name, schema]) => (isOptional(schema) ? [] : [name]))
  return { type: 'object', properties: wireProperties(parameters, 0), required }
}

/** In a bare list of parameters, what has a default or is called optional need not be given. */
function isOptional(schema: unknown): boolean {
  if (!isSchema(schema)) return false
  return 'default' in schema || schema.required === false || /optional/i.test(String(schema.type))
}

function wireSchema(schema: unknown, depth: number): Schema {
  if (!isSchema(schema) || depth > deepest) return {}
  const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
    if (key === 'type') return typeEntries(value)
    if (key === 'properties') return isSchema(value) ? [[key, wireProperties(value, depth)]] : []
    if (key === 'items') return [[key, Array.isArray(value) ? {} : wireSchema(value, depth + 1)]]
    if (key === 'required') return Array.isArray(value) ? [[key, value]] : []
    if (key === 'anyOf' || key === 'oneOf' || key === 'allOf') {
      return Array.isArray(value) ? [[key, value.map((one) => wireSchema(one, depth + 1))]] : []
    }
    return [[key, value]]
  })
  const result: Schema = Object.fromEntries(entries)
  if (result.type === 'array' && result.items === undefined) result.items = {}
  return result
}

const wireProperties = (properties: Schema, depth: number): Schema =>
  Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, wireSchema(schema, depth + 1)]))

function typeEntries(type: unknown): [string, unknown][] {
  if (jsonTypes.has(type)) return [['type', type]]
  if (Array.isArray(type)) return type.every((one) => jsonTypes.has(one)) ? [['type', type]] : []
  return typeof type === 'string' ? Object.entries(schemaOf(parseType(type))) : []
}

/** "Optional" is said by what is required, not by null. */
function schemaOf(type: Type): Schema {
  if (type.kind === 'any') return {}
  if (type.kind === 'array') return { type: 'array', items: schemaOf(type.items) }
  if (type.kind !== 'union') return { type: type.kind }
  const some = type.of.filter(({ kind }) => kind !== 'null')
  return some.length === 1 ? schemaOf(some[0]!) : { anyOf: some.map(schemaOf) }
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
