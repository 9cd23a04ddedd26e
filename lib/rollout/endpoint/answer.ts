import { codedError } from '../../errors.js'
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { printJson } from '../../text/json-print.js'
import type { ChatAnswer, ChatToolCall, Usage } from './types.js'

/**
 * Reads the body of a chat completion, which may be anything.
 *
 * @throws Error `ERR_ANSWER` saying what is wrong with it
 */
export function readAnswer(text: string): ChatAnswer {
  let body: JsonValue
  try {
    body = parseJson(text, 'python')
  } catch (error) {
    return wrong('JSON', `${text.length} characters: ${(error as Error).message}`)
  }
  const reply = object(body, 'the answer')
  // Some gateways report the failure of the server behind them with status 200.
  const error = reply.get('error')
  if (error !== undefined && error !== null) return wrong('choices', `an error: ${errorMessage(error)}`)
  const choices = reply.get('choices')
  if (!Array.isArray(choices)) return wrong('"choices" to be a list', kindOf(choices))
  if (choices.length === 0) return wrong('a choice', 'an empty list')
  const choice = object(choices[0], 'the first choice')
  const message = object(choice.get('message'), '"message"')
  return {
    content: textOf(message.get('content'), 'content'),
    reasoning: textOf(message.get('reasoning_content') ?? message.get('reasoning'), 'reasoning_content'),
    toolCalls: toolCallsOf(message.get('tool_calls')),
    finishReason: finishReasonOf(choice.get('finish_reason')),
    usage: usageOf(reply.get('usage')),
  }
}

/** The message of an error object, however it is nested. */
function errorMessage(error: JsonValue): string {
  if (typeof error === 'string') return error
  const message = error instanceof Map ? error.get('message') : undefined
  return typeof message === 'string' ? message : printJson(error, { ensureAscii: false }).slice(0, 300)
}

/** Text, or a list of parts with text; null is none. */
function textOf(value: JsonValue | undefined, name: string): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return wrong(`"${name}" to be text`, kindOf(value))
  return value
    .map((part) => {
      const text = part instanceof Map ? part.get('text') : part
      return typeof text === 'string' ? text : wrong(`a part of "${name}" to have text`, kindOf(part))
    })
    .join('')
}

function toolCallsOf(value: JsonValue | undefined): ChatToolCall[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return wrong('"tool_calls" to be a list', kindOf(value))
  return value.map((item) => {
    const call = object(object(item, 'a tool call').get('function'), '"function" of a tool call')
    const name = call.get('name')
    const args = call.get('arguments')
    if (typeof name !== 'string') return wrong('a tool call to have a name', kindOf(name))
    if (typeof args === 'string') return { name, arguments: args.trim() === '' ? '{}' : args }
    // The API says text; some servers give the object itself.
    if (args === undefined || args === null) return { name, arguments: '{}' }
    return { name, arguments: printJson(args, { ensureAscii: false }) }
  })
}

function finishReasonOf(value: JsonValue | undefined): ChatAnswer['finishReason'] {
  if (value === 'length') return 'length'
  if (value === 'content_filter') return 'filtered'
  return 'stop'
}

function usageOf(value: JsonValue | undefined): Usage | null {
  if (!(value instanceof Map)) return null
  const count = (key: string) => {
    const number = value.get(key)
    const tokens = number instanceof JsonNumber ? number.toNumber() : Number.NaN
    return Number.isSafeInteger(tokens) && tokens >= 0 ? tokens : null
  }
  const [promptTokens, completionTokens] = [count('prompt_tokens'), count('completion_tokens')]
  return promptTokens === null || completionTokens === null ? null : { promptTokens, completionTokens }
}

function object(value: JsonValue | undefined, name: string): JsonObject {
  return value instanceof Map ? value : wrong(`${name} to be an object`, kindOf(value))
}

function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Map) return 'an object'
  return value instanceof JsonNumber ? 'a number' : typeof value === 'string' ? 'a text' : 'a boolean'
}

function wrong(expected: string, got: string): never {
  throw codedError('Error', 'ERR_ANSWER', `[endpoint] expected ${expected}, got ${got}`)
}
