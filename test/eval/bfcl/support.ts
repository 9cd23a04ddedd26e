import { join } from 'node:path'
import type { Category } from '../../../lib/eval/bfcl/categories.js'
import type { BfclQuestion, FunctionSchema } from '../../../lib/eval/bfcl/types.js'
import { type JsonObject, parseJson } from '../../../lib/text/json.js'
import { fromJson, type PyValue } from '../../../lib/text/python/value.js'
import { repositoryRoot } from '../../support/shared.js'

export const fixtureData = join(repositoryRoot, 'test', 'fixtures', 'bfcl', 'data', 'bfcl')

/** A value from JSON text, numbers as Python has them. */
export const py = (text: string): PyValue => fromJson(parseJson(text, 'python'))

/** A question about one function `f` whose schema and right arguments are given as JSON text. */
export function question(
  types: Record<string, string | [string, string]>,
  truth: string,
  { category = 'simple_python', required = [] as string[] }: { category?: Category; required?: string[] } = {},
): BfclQuestion {
  const properties: FunctionSchema['properties'] = new Map(
    Object.entries(types).map(([name, type]) => {
      const [outer, items] = typeof type === 'string' ? [type, undefined] : type
      return [name, { type: outer, items }]
    }),
  )
  const args = [...(py(truth) as Map<string, PyValue[]>)]
  return {
    id: `${category}_0`,
    category,
    messages: [{ role: 'user', content: 'What?' }],
    functions: [parseJson('{"name":"f","description":"d","parameters":{"type":"dict","properties":{}}}') as JsonObject],
    schemas: [{ name: 'f', properties, required }],
    truth: [{ name: 'f', arguments: new Map(args) }],
    possibleAnswer: null,
  }
}
