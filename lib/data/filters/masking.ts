import { JsonNumber, type JsonObject, type JsonValue } from '../../text/json.js'
import { printJson } from '../../text/json-print.js'
import { Random } from '../random.js'
import { makeCall, type Sample } from '../sample.js'
import { parametersOf } from './arguments.js'

/** Nothing in the conversation speaks of calls by name: it may be changed which tools there are and what they are called. */
export const isFresh = (sample: Sample): boolean =>
  sample.reply === undefined && sample.turns.every((turn) => turn.calls === undefined && turn.role !== 'tool')

/**
 * Hammer's function masking (arXiv 2410.04587): tools and their parameters get random names and parameters random defaults, in the list and in
 * the right calls, so that only descriptions say what a tool does. A default that a right call passes stays, for the question need not
 * say it. Parameters inside objects keep their names. Samples with calls in their history or a reply to imitate stay as they are.
 */
export function maskSample(sample: Sample, seed: number): Sample {
  if (!isFresh(sample)) return sample
  const random = Random.of('mask', seed, sample.id)
  const taken = new Set<string>()
  const masks = new Map<string, { name: string; parameters: Map<string, string> }>()
  const tools = sample.tools.map((tool) => {
    const name = tool.get('name') as string
    const used = usedValues(sample.calls ?? [], name)
    const parameters = new Map<string, string>()
    const takenHere = new Set<string>()
    for (const key of parametersOf(tool)?.properties.keys() ?? []) parameters.set(key, freshName(random, takenHere))
    const mask = { name: freshName(random, taken), parameters }
    masks.set(name, mask)
    return maskTool(tool, mask.name, parameters, used, random)
  })
  const calls = sample.calls?.map((call) => {
    const mask = masks.get(call.get('name') as string)
    if (mask === undefined) return call
    const args = [...(call.get('arguments') as JsonObject)]
    return makeCall(mask.name, new Map(args.map(([key, value]) => [mask.parameters.get(key) ?? key, value])))
  })
  return { ...sample, tools, ...(calls && { calls }) }
}

/** What right calls of a tool pass, as text of name and value. */
function usedValues(calls: readonly JsonObject[], name: string): Set<string> {
  const used = new Set<string>()
  for (const call of calls)
    if (call.get('name') === name)
      for (const [key, value] of call.get('arguments') as JsonObject) used.add(`${key}\n${printJson(value)}`)
  return used
}

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
const others = `${letters}0123456789_`

function word(random: Random): string {
  let text = random.pick([...letters])
  for (let length = random.integer(3, 9); length > 0; length--) text += others.charAt(random.integer(0, 62))
  return text
}

function freshName(random: Random, taken: Set<string>): string {
  for (;;) {
    const name = word(random)
    if (taken.has(name)) continue
    taken.add(name)
    return name
  }
}

function maskTool(
  tool: JsonObject,
  name: string,
  parameters: ReadonlyMap<string, string>,
  used: ReadonlySet<string>,
  random: Random,
): JsonObject {
  const rename = (properties: JsonObject): JsonObject =>
    new Map(
      [...properties].map(([key, schema]) => [parameters.get(key) ?? key, maskDefault(key, schema, used, random)]),
    )
  const renameRequired = (value: JsonValue): JsonValue =>
    Array.isArray(value) ? value.map((key) => (typeof key === 'string' ? (parameters.get(key) ?? key) : key)) : value
  const masked = new Map(tool).set('name', name)
  if (masked.has('required')) masked.set('required', renameRequired(masked.get('required') ?? null))
  const key = tool.has('parameters') ? 'parameters' : 'input_schema'
  const schema = tool.get(key)
  if (!(schema instanceof Map) || parameters.size === 0) return masked
  const properties = schema.get('properties')
  if (!(properties instanceof Map && typeof schema.get('type') !== 'object')) return masked.set(key, rename(schema))
  const copy: JsonObject = new Map(schema).set('properties', rename(properties))
  if (copy.has('required')) copy.set('required', renameRequired(copy.get('required') ?? null))
  return masked.set(key, copy)
}

function maskDefault(key: string, schema: JsonValue, used: ReadonlySet<string>, random: Random): JsonValue {
  const value = schema instanceof Map ? schema.get('default') : undefined
  if (!(schema instanceof Map) || value === undefined || schema.has('enum')) return schema
  if (used.has(`${key}\n${printJson(value)}`)) return schema
  return new Map(schema).set('default', randomLike(value, random))
}

function randomLike(value: JsonValue, random: Random): JsonValue {
  if (typeof value === 'string' && value !== '') return word(random)
  if (typeof value === 'boolean') return random.chance(0.5)
  if (!(value instanceof JsonNumber)) return value
  const whole = random.integer(0, 1000)
  return new JsonNumber(value.isInteger ? String(whole) : `${whole}.${random.integer(1, 9)}`)
}
