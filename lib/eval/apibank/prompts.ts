import type { JsonObject, JsonValue } from '../../text/json.js'
import { toolN1System } from '../../text/prompts/tool-n1.js'
import type { Question } from '../asker.js'
import { asTools, type Handler } from '../tool-calls.js'
import { apiRules } from './apis.js'
import { parametersOf } from './dataset.js'
import type { ApiBankQuestion } from './types.js'

/**
 * The question in a handler's form. `prompt`: the file's own instruction and dialogue, word for word. Otherwise the APIs as functions in
 * JSON Schema and the dialogue as one message, with the year that the instruction names.
 */
export function apiBankQuestion(question: ApiBankQuestion, handler: Handler, native: boolean): Question {
  const { id, instruction, input, apis } = question
  if (handler === 'prompt') {
    return {
      id,
      messages: [
        { role: 'system', content: instruction },
        { role: 'user', content: input },
      ],
    }
  }
  const functions = apis.map(asFunction)
  const year = /^The current year is .*$/m.exec(instruction)?.[0]
  const dialogue = input.replace(/\s*Generate API Request:\s*$/, '')
  const user = { role: 'user' as const, content: [year, dialogue].filter((part) => part !== undefined).join('\n\n') }
  if (handler === 'qwen-fc') return { id, messages: [user], tools: asTools(functions, native) }
  return {
    id,
    messages: [
      { role: 'system', content: toolN1System(functions, undefined, { reasoning: handler === 'tool-n1' }) },
      user,
    ],
  }
}

const schemaTypes: Readonly<Record<string, string>> = {
  str: 'string',
  int: 'integer',
  float: 'number',
  bool: 'boolean',
  list: 'array',
  'list(str)': 'array',
}

function asFunction(api: JsonObject): JsonObject {
  const name = api.get('name') as string
  const parameters = api.get('input_parameters')
  const optional = apiRules[name]?.optional ?? []
  const properties = [...(parameters instanceof Map ? parameters : [])].map(([key, value]): [string, JsonValue] => {
    const schema = value instanceof Map ? value : new Map<string, JsonValue>()
    const type = schemaTypes[String(schema.get('type'))] ?? 'string'
    const items: [string, JsonValue][] =
      schema.get('type') === 'list(str)' ? [['items', new Map<string, JsonValue>([['type', 'string']])]] : []
    return [
      key,
      new Map<string, JsonValue>([['type', type], ['description', schema.get('description') ?? ''], ...items]),
    ]
  })
  return new Map<string, JsonValue>([
    ['name', name],
    ['description', api.get('description') ?? ''],
    [
      'parameters',
      new Map<string, JsonValue>([
        ['type', 'object'],
        ['properties', new Map(properties)],
        ['required', parametersOf(api).filter((key) => !optional.includes(key))],
      ]),
    ],
  ])
}
