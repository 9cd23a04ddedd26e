// Records of BFCL's files as the types that the rest works with. What a record lacks is said; nothing is guessed.

import { BadRecord } from '../../data/problems.js'
import type { JsonObject, JsonValue } from '../../text/json.js'
import { fromJson, type PyValue } from '../../text/python/value.js'
import type { BfclMessage, FunctionSchema, GroundTruth } from './types.js'

export interface QuestionRecord {
  id: string
  messages: BfclMessage[]
  functions: JsonObject[]
  schemas: FunctionSchema[]
}

export interface AnswerRecord {
  id: string
  truth: GroundTruth[]
  possibleAnswer: PyValue
}

export function readQuestion(record: JsonObject): QuestionRecord {
  return {
    id: readId(record),
    messages: readMessages(record.get('question')),
    ...readFunctions(record.get('function')),
  }
}

export function readFunctions(value: JsonValue | undefined): Pick<QuestionRecord, 'functions' | 'schemas'> {
  const functions = list(value, '"function"').map((item, i) => object(item, `function ${i + 1}`))
  return { functions, schemas: functions.map(readSchema) }
}

function readId(record: JsonObject): string {
  const id = record.get('id')
  if (typeof id === 'string' && id !== '') return id
  throw new BadRecord('field', 'expected "id" to be a text')
}

/** `[[{role, content}, …]]`: the turns of a conversation, of which single-turn questions have one. */
export function readMessages(value: JsonValue | undefined): BfclMessage[] {
  const turns = list(value, '"question"')
  if (turns.length !== 1) {
    throw new BadRecord(
      'field',
      `expected "question" to have one turn, got ${turns.length} (multi-turn is not covered)`,
    )
  }
  const messages = list(turns[0], 'the turn of "question"').map((item, i) => {
    const message = object(item, `message ${i + 1}`)
    const role = message.get('role')
    const content = message.get('content')
    if (typeof role !== 'string' || typeof content !== 'string') {
      throw new BadRecord('field', `expected message ${i + 1} to have a role and a content`)
    }
    return { role, content }
  })
  if (messages.length === 0) throw new BadRecord('field', 'expected "question" to have a message, got none')
  return messages
}

function readSchema(description: JsonObject, index: number): FunctionSchema {
  const name = description.get('name')
  if (typeof name !== 'string') throw new BadRecord('tools', `expected function ${index + 1} to have a name`)
  const parameters = object(description.get('parameters'), `the parameters of ${name}`)
  const properties = object(parameters.get('properties') ?? new Map(), `the properties of ${name}`)
  const required = parameters.has('required') ? list(parameters.get('required'), `"required" of ${name}`) : []
  return {
    name,
    properties: new Map([...properties].map(([key, value]) => [key, readProperty(value, `${name}.${key}`)])),
    required: required.filter((item) => typeof item === 'string'),
  }
}

function readProperty(value: JsonValue, what: string): { type: string | undefined; items: string | undefined } {
  const property = object(value, what)
  const items = property.get('items')
  return { type: text(property.get('type')), items: items instanceof Map ? text(items.get('type')) : undefined }
}

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined)

export function readAnswer(record: JsonObject): AnswerRecord {
  const value = record.get('ground_truth')
  return { id: readId(record), truth: readTruth(value), possibleAnswer: fromJson(value ?? null) }
}

/** `[{function: {argument: [alternatives]}}, …]`. */
export function readTruth(value: JsonValue | undefined): GroundTruth[] {
  return list(value, '"ground_truth"').map((item, i) => {
    const [entry, ...others] = object(item, `right call ${i + 1}`)
    if (entry === undefined || others.length > 0) {
      throw new BadRecord('calls', `expected right call ${i + 1} to name one function`)
    }
    const [name, given] = entry
    const args = [...object(given, `the arguments of ${name}`)].map(([key, alternatives]): [string, PyValue[]] => {
      return [key, list(alternatives, `the alternatives of ${name}.${key}`).map(fromJson)]
    })
    return { name, arguments: new Map(args) }
  })
}

function list(value: JsonValue | undefined, what: string): JsonValue[] {
  if (Array.isArray(value)) return value
  throw new BadRecord('field', `expected ${what} to be a list`)
}

function object(value: JsonValue | undefined, what: string): JsonObject {
  if (value instanceof Map) return value
  throw new BadRecord('field', `expected ${what} to be an object`)
}
