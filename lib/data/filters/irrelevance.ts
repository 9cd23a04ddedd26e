import type { Sample } from '../sample.js'
import { isFresh } from './masking.js'

/**
 * The same question without the tools that answer it: no call is right any more. Null where no other tool would be left, where no call was
 * right before, or where earlier turns speak of tools.
 */
export function irrelevantCopy(sample: Sample): Sample | null {
  if (!sample.calls || sample.calls.length === 0 || !isFresh(sample)) return null
  const called = new Set(sample.calls.map((call) => call.get('name')))
  const tools = sample.tools.filter((tool) => !called.has(tool.get('name')))
  return tools.length === 0 ? null : { ...sample, id: `${sample.id}~irrelevant`, tools, calls: [] }
}
