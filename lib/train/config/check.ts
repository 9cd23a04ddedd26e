// Turns zod's issues into messages that say which key, what was got and what would be right.

import { z } from 'zod'
import { fail } from '../../errors.js'
import { nearestKey } from './nearest.js'

type Issue = z.core.$ZodIssue
type Node = z.core.$ZodType
/** JSON Schema of a field, with the extra `expected` that fields may carry. */
interface Described {
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  anyOf?: Described[]
  expected?: string
}

/** A command that reads the same kind of file by other keys. */
export interface OtherCommand {
  /** As it is typed, with the file: `callgrad sft sft.yaml`. */
  command: string
  schema: Node
}

/**
 * Parses `input` by `schema`. Throws a `TypeError` (a wrong key or type) or `RangeError` (a value out of bounds) whose message
 * names each wrong key, code `ERR_CONFIG`; where most of the keys that tell the two apart are `other`'s, it names that command.
 */
export function parseWith<T extends Node>(
  schema: T,
  input: unknown,
  where = 'config',
  other?: OtherCommand,
): z.output<T> {
  const result = z.safeParse(schema, input ?? {})
  if (result.success) return result.data
  const meant = other && isMeantFor(other, schema, input) ? forOther(other, schema, input) : null
  if (meant !== null) fail('TypeError', 'ERR_CONFIG', `[${where}] ${meant}`)
  const messages = [...new Set(result.error.issues.flatMap((issue) => explain(schema, input, issue)))]
  const kind = result.error.issues.some((i) => i.code === 'unrecognized_keys' || i.code === 'invalid_type')
    ? 'TypeError'
    : 'RangeError'
  return fail(kind, 'ERR_CONFIG', `[${where}] ${messages.join('; ')}`)
}

function explain(schema: Node, input: unknown, issue: Issue): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(schema, issue.path, key))
  if (issue.code === 'invalid_union') return explainUnion(schema, input, issue)
  const named = (path: readonly PropertyKey[]) => (path.length ? `${pathName(path)}: ` : '')
  if (issue.code === 'custom' && !issue.params?.expected) return [`${named(issue.path)}${issue.message}`]
  // The innermost thing that the schema has a description of.
  const path = [...issue.path]
  while (path.length > 0 && !nodeAt(schema, path)) path.pop()
  return [`${named(path)}expected ${expectedText(nodeAt(schema, path))}, got ${show(valueAt(input, path))}`]
}

/** A union is explained by the branch that came furthest, or by its own `expected`. */
function explainUnion(schema: Node, input: unknown, issue: Issue & { code: 'invalid_union' }): string[] {
  const inside = (issue.errors ?? []).find((errors) => errors.length > 0 && errors.every((e) => e.path.length > 0))
  if (inside) return inside.flatMap((e) => explain(schema, input, { ...e, path: [...issue.path, ...e.path] } as Issue))
  const expected = expectedText(nodeAt(schema, issue.path))
  return [`${pathName(issue.path)}: expected ${expected}, got ${show(valueAt(input, issue.path))}`]
}

function unknownKey(schema: Node, path: readonly PropertyKey[], key: string): string {
  const keys = keysOf(nodeAt(schema, path))
  const near = nearestKey(key, keys)
  const inside = path.length ? ` in ${pathName(path)}` : ''
  if (near) return `unknown key "${key}"${inside}; did you mean "${near}"?`
  const known = keys.length <= 12 ? `the keys are ${keys.join(', ')}` : 'docs/configuration.md lists the keys'
  return `unknown key "${key}"${inside}; ${known}`
}

/** Whether more of the keys are of the other command alone than of this one alone. */
function isMeantFor({ schema: theirs }: OtherCommand, ours: Node, input: unknown): boolean {
  const [our, their] = [keysOf(ours), keysOf(theirs)]
  const keys = Object.keys(input ?? {})
  const only = (some: readonly string[], others: readonly string[]) =>
    keys.filter((key) => some.includes(key) && !others.includes(key)).length
  return only(their, our) > only(our, their)
}

/** What to run instead, and the keys that neither command knows. The rest is for that command to judge. */
function forOther({ command, schema: theirs }: OtherCommand, ours: Node, input: unknown): string {
  const [our, their] = [keysOf(ours), keysOf(theirs)]
  const unknown = Object.keys(input ?? {}).filter((key) => !our.includes(key))
  const foreign = unknown.filter((key) => their.includes(key))
  const name = command.split(' ').slice(0, 2).join(' ')
  const what = foreign.length === 1 ? 'is a key' : 'are keys'
  const typos = unknown.filter((key) => !their.includes(key)).map((key) => unknownKey(theirs, [], key))
  return [`${foreign.join(', ')} ${what} of \`${name}\`; run \`${command}\``, ...typos].join('; ')
}

const pathName = (path: readonly PropertyKey[]) =>
  path.map((p, i) => (typeof p === 'number' ? `[${p}]` : `${i ? '.' : ''}${String(p)}`)).join('')

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'a group of keys'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** The schema inside wrappers such as default and nullable. */
function inner(node: Node): Node {
  const def = node._zod.def as { type: string; innerType?: Node; in?: Node; out?: Node }
  if (def.type === 'pipe') return inner(def.in!._zod.def.type === 'transform' ? def.out! : def.in!)
  return def.innerType ? inner(def.innerType) : node
}

function nodeAt(schema: Node, path: readonly PropertyKey[]): Node | undefined {
  let node: Node | undefined = schema
  for (const key of path) {
    const def = inner(node)._zod.def as { shape?: Record<string, Node>; element?: Node; options?: Node[] }
    const options: Node[] = def.options ?? [inner(node)]
    node = options
      .map((o) => inner(o)._zod.def as { shape?: Record<string, Node>; element?: Node })
      .map((d) => (typeof key === 'number' ? d.element : d.shape?.[String(key)]))
      .find((n) => n !== undefined)
    if (!node) return undefined
  }
  return node
}

function keysOf(node: Node | undefined): string[] {
  if (!node) return []
  const def = inner(node)._zod.def as { shape?: object; options?: Node[] }
  return def.options ? def.options.flatMap(keysOf) : Object.keys(def.shape ?? {})
}

/** A phrase for what a field takes: "an integer of at least 2", "one of "token", "sequence"". */
export function expectedText(node: Node | undefined): string {
  if (!node) return 'another value'
  return phrase(z.toJSONSchema(node, { io: 'input', unrepresentable: 'any' }) as Described)
}

function phrase(d: Described): string {
  if (d.expected) return d.expected
  if (d.enum) return `one of ${d.enum.map((v) => JSON.stringify(v)).join(', ')}`
  if (d.anyOf) return d.anyOf.map(phrase).join(', or ')
  const types = [d.type ?? []].flat()
  const orNull = types.includes('null') && types.length > 1 ? ' or null' : ''
  switch (types[0]) {
    case 'integer':
      return `an integer${bounds(d)}${orNull}`
    case 'number':
      return `a number${bounds(d)}${orNull}`
    case 'boolean':
      return `true or false${orNull}`
    case 'string':
      return `a text${orNull}`
    case 'array':
      return `a list${orNull}`
    case 'object':
      return `a group of keys${orNull}`
    case 'null':
      return 'null'
    default:
      return 'another value'
  }
}

function bounds(d: Described): string {
  const upper = d.maximum === Number.MAX_SAFE_INTEGER ? undefined : d.maximum
  const lower = d.minimum === Number.MIN_SAFE_INTEGER ? undefined : d.minimum
  if (lower !== undefined && upper !== undefined) return ` from ${lower} to ${upper}`
  const parts = [
    lower !== undefined && ` of at least ${lower}`,
    d.exclusiveMinimum !== undefined && ` above ${d.exclusiveMinimum}`,
    upper !== undefined && ` of at most ${upper}`,
    d.exclusiveMaximum !== undefined && ` below ${d.exclusiveMaximum}`,
  ].filter(Boolean)
  return parts.join(' and')
}
