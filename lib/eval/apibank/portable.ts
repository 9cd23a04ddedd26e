import type { ApiBankQuestion, ApiCall } from './types.js'

/**
 * The portable rule, as ToolRL has it: one of the calls has the right name and exactly the right arguments. Values are compared as text,
 * because the files have no other.
 */
export function isPortableMatch(calls: readonly ApiCall[], { right }: ApiBankQuestion): boolean {
  return calls.some((call) => portableDifference(call, right) === null)
}

/** What sets a call apart from the right one, in words; null where nothing does. */
export function portableDifference(call: ApiCall, right: ApiCall): string | null {
  if (call.name !== right.name) return `expected a call of ${right.name}, got one of ${call.name}`
  for (const [key, value] of right.args) {
    const given = call.args.get(key)
    if (given === undefined) return `${call.name}: the argument ${key} is missing`
    if (given !== value) {
      return `${call.name}: argument ${key} is ${JSON.stringify(given)}, expected ${JSON.stringify(value)}`
    }
  }
  const extra = [...call.args.keys()].find((key) => !right.args.has(key))
  return extra === undefined ? null : `${call.name}: there is no argument ${extra}`
}
