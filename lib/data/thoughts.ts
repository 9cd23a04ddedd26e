import { fail } from '../errors.js'
import { type JsonObject, type JsonValue, parseJson } from '../text/json.js'
import { printJson } from '../text/json-print.js'
import type { Example } from './example.js'

/**
 * A reply to imitate, made from a record's truth alone: a thought in fixed words that names the tools, how often, and which arguments the
 * question gives, then the calls. Real records have no thoughts; a fixed form teaches the shape of a reply in few examples and leaves what
 * to think to reinforcement learning. The same text for the same truth, always.
 *
 * `silent`: the calls alone, for prompts that ask for no thought.
 *
 * Throws a TypeError (`ERR_TRUTH`) where the example has no truth or one that is no list of calls.
 */
export function templateReply(example: Example, silent = false): string {
  const calls = truthOf(example)
  const block = `<tool_call>${printJson(calls, { ensureAscii: false })}</tool_call>`
  return silent ? block : `<think>${thought(calls)}</think>\n${block}`
}

/** Examples with {@link templateReply} as `reply`; those that have a reply keep it, those without a truth are left out. */
export function withThoughts(examples: readonly Example[], silent = false): Example[] {
  return examples
    .filter((example) => example.reply !== undefined || example.truth !== undefined)
    .map((example) => (example.reply === undefined ? { ...example, reply: templateReply(example, silent) } : example))
}

function truthOf({ id, truth }: Example): JsonObject[] {
  const bad = (got: string) =>
    fail('TypeError', 'ERR_TRUTH', `[thoughts] expected the truth of example "${id}" to be a list of calls, got ${got}`)
  if (truth === undefined) return bad('none')
  let value: JsonValue
  try {
    value = parseJson(truth)
  } catch (error) {
    return bad((error as Error).message)
  }
  const isCall = (item: JsonValue): item is JsonObject => item instanceof Map && typeof item.get('name') === 'string'
  return Array.isArray(value) && value.every(isCall) ? value : bad('something else')
}

function thought(calls: readonly JsonObject[]): string {
  if (calls.length === 0) return 'None of the functions fits the question, so I make no call.'
  const groups = new Map<string, { times: number; keys: Set<string> }>()
  for (const call of calls) {
    const name = call.get('name') as string
    const args = call.get('arguments')
    const group = groups.get(name) ?? { times: 0, keys: new Set<string>() }
    group.times++
    if (args instanceof Map) for (const key of args.keys()) group.keys.add(key)
    groups.set(name, group)
  }
  const parts = [...groups].map(([name, { times, keys }]) => {
    const often = times === 1 ? '' : ` ${times} times`
    return `${name}${often}${keys.size > 0 ? ` with ${joined([...keys])}` : ''}`
  })
  return `To answer the question I call ${joined(parts, parts.length > 1 ? '; ' : ', ')}.`
}

function joined(items: string[], comma = ', '): string {
  if (items.length < 2) return items.join('')
  return `${items.slice(0, -1).join(comma)}${comma === '; ' ? '; and ' : ' and '}${items.at(-1)}`
}
