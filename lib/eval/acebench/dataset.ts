// An ACEBench data folder, English. Understood layouts: `question/<category>.jsonl` beside `possible_answer/<category>.jsonl`, or the
// official repository's `data_all/data_en/data_<category>.json` (the repository's root, `data_all`, or `data_en` itself may be given). The
// rows in which version 2504 differs are read from `v2504_overrides.json`, where a folder has that.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkValues, kind } from '../../data/formats/fields.js'
import { BadRecord } from '../../data/problems.js'
import { fail } from '../../errors.js'
import { type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { pyRepr } from '../../text/python/repr.js'
import { fromJson, type PyValue } from '../../text/python/value.js'
import { Problems, placeOf, readRecords } from '../records.js'
import { type Category, categories, type Version } from './categories.js'
import type { AceQuestion, FunctionSchema, ParameterSchema } from './types.js'

export interface AceOptions {
  version: Version
  /** Default: all but the agents'. */
  categories?: readonly Category[]
  /** The first bad record is an error. Default false: bad records are reported and left out. */
  strict?: boolean
}

export interface AceDataset {
  version: Version
  questions: Map<Category, AceQuestion[]>
  problems: Problems
  /** Whether rows of version 2504 were put in their place. */
  overridden: boolean
}

/**
 * Reads the questions of a folder.
 *
 * @throws `ERR_IO` for a category without a file, `ERR_DATA` for a file without a usable record (with `strict`: any bad record)
 */
export async function loadAceBench(folder: string, options: AceOptions): Promise<AceDataset> {
  const problems = new Problems(options.strict)
  const overrides = options.version === '2504' ? await readOverrides(folder) : null
  const questions = new Map<Category, AceQuestion[]>()
  for (const category of options.categories ?? categories) {
    questions.set(category, await loadCategory(folder, category, overrides, problems))
  }
  return { version: options.version, questions, problems, overridden: overrides !== null }
}

type Question = Omit<AceQuestion, 'truth'>
interface Answer {
  id: string
  truth: PyValue
}

async function loadCategory(
  folder: string,
  category: Category,
  overrides: Overrides | null,
  problems: Problems,
): Promise<AceQuestion[]> {
  const files = findFiles(folder, category)
  const answers = new Map((await readRecords(files.answer, readAnswer, problems)).map((answer) => [answer.id, answer]))
  const questions: AceQuestion[] = []
  for (const record of await readRecords(files.question, (row) => readQuestion(row, category), problems)) {
    const answer = overrides?.answers.get(record.id) ?? answers.get(record.id)
    if (answer) questions.push({ ...(overrides?.questions.get(record.id)?.(category) ?? record), truth: answer.truth })
    else {
      const file = placeOf(files.answer)
      problems.add({ file, line: 0, kind: 'calls', reason: `no right answer for ${record.id}` })
    }
  }
  return questions
}

function findFiles(folder: string, category: Category): { question: string; answer: string } {
  for (const [questions, answers, file] of [
    ['question', 'possible_answer', `${category}.jsonl`],
    ...['data_all/data_en', 'data_en', '.'].map((at) => [at, join(at, 'possible_answer'), `data_${category}.json`]),
  ] as [string, string, string][]) {
    const question = join(folder, questions, file)
    if (existsSync(question)) return { question, answer: join(folder, answers, file) }
  }
  const expected = `question/${category}.jsonl or data_all/data_en/data_${category}.json`
  return fail('Error', 'ERR_IO', `[acebench] expected ${expected} in ${folder}, found neither`)
}

function readQuestion(row: JsonObject, category: Category): Question {
  const profile = row.get('profile')
  const functions = list(row.get('function'), '"function"').map(object)
  return {
    id: text(row.get('id'), '"id"'),
    category,
    dialogue: text(row.get('question'), '"question"'),
    time: row.has('time') ? text(row.get('time'), '"time"') : '',
    profile: profile === undefined ? '' : typeof profile === 'string' ? profile : pyRepr(fromJson(profile)),
    functions,
    schemas: functions.map(readSchema),
  }
}

function readAnswer(row: JsonObject): Answer {
  const truth = row.get('ground_truth')
  if (truth === undefined) throw new BadRecord('field', 'expected a "ground_truth", got nothing')
  return { id: text(row.get('id'), '"id"'), truth: fromJson(truth) }
}

function readSchema(description: JsonObject): FunctionSchema {
  const name = text(description.get('name'), 'the name of a function')
  const parameters = description.get('parameters')
  if (!(parameters instanceof Map)) return { name, properties: null, required: null, takesNothing: false }
  const properties = parameters.get('properties')
  const required = parameters.get('required')
  return {
    name,
    properties: new Map(
      properties instanceof Map ? [...properties].map(([key, value]) => [key, readParameter(value)]) : [],
    ),
    required: Array.isArray(required) ? required.filter((item) => typeof item === 'string') : null,
    takesNothing: parameters.size === 0,
  }
}

function readParameter(value: JsonValue): ParameterSchema {
  const type = (schema: JsonValue | undefined) => {
    const name = schema instanceof Map ? schema.get('type') : undefined
    return typeof name === 'string' ? name : null
  }
  return { type: type(value), itemType: value instanceof Map ? type(value.get('items')) : null }
}

interface Overrides {
  questions: Map<string, (category: Category) => Question>
  answers: Map<string, Answer>
}

async function readOverrides(folder: string): Promise<Overrides | null> {
  const path = join(folder, 'v2504_overrides.json')
  if (!existsSync(path)) return null
  try {
    const value = object(parseJson(await readFile(path, 'utf8')))
    checkValues(value, 'it')
    const rows = (key: string) =>
      [...object(value.get(key) ?? new Map())].map(([id, row]) => [id, object(row)] as const)
    return {
      questions: new Map(rows('question').map(([id, row]) => [id, (category) => readQuestion(row, category)])),
      answers: new Map(rows('possible_answer').map(([id, row]) => [id, readAnswer(row)])),
    }
  } catch (error) {
    return fail('Error', 'ERR_DATA', `[acebench] v2504_overrides.json: ${(error as Error).message}`, error)
  }
}

function text(value: JsonValue | undefined, what: string): string {
  if (typeof value === 'string') return value
  throw new BadRecord('field', `expected ${what} to be a text, got ${kind(value)}`)
}

function list(value: JsonValue | undefined, what: string): JsonValue[] {
  if (Array.isArray(value)) return value
  throw new BadRecord('field', `expected ${what} to be a list, got ${kind(value)}`)
}

function object(value: JsonValue | undefined): JsonObject {
  if (value instanceof Map) return value
  throw new BadRecord('field', `expected an object, got ${kind(value)}`)
}
