// An API-Bank data folder: `level-1-api.json` and `level-2-api.json` (DAMO-ConvAI/api-bank, `test-data/`; the folder or its parent may be
// given). Beside them, where they exist: `apis.json`, every API's description (else those of the dialogues serve), and `gold.jsonl`, the
// right calls in structure with what the official code says to each.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkValues, kind, parseInner } from '../../data/formats/fields.js'
import { BadRecord } from '../../data/problems.js'
import { fail } from '../../errors.js'
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { evaluate } from '../../text/python/arithmetic.js'
import { toJson } from '../../text/python/json.js'
import { parseExpression } from '../../text/python/parse.js'
import { PythonError } from '../../text/python/raise.js'
import { Problems, readRecords } from '../records.js'
import { parseWritten } from './parse.js'
import { type ApiBankQuestion, type ApiCall, type Category, categories } from './types.js'

export interface ApiBankOptions {
  /** Default: both. */
  categories?: readonly Category[]
  /** The first bad record is an error. Default false: bad records are reported and left out. */
  strict?: boolean
}

export interface ApiBankDataset {
  questions: Map<Category, ApiBankQuestion[]>
  /** All tokens of users that the right calls name. */
  tokens: ReadonlySet<string>
  problems: Problems
}

const levels: Readonly<Record<Category, { level: number; file: string }>> = {
  call: { level: 1, file: 'level-1-api.json' },
  'retrieve+call': { level: 2, file: 'level-2-api.json' },
}

/**
 * Reads the questions of a folder.
 *
 * @throws `ERR_IO` for a category without a file, `ERR_DATA` for a file without a usable record (with `strict`: any bad record)
 */
export async function loadApiBank(folder: string, options: ApiBankOptions = {}): Promise<ApiBankDataset> {
  const problems = new Problems(options.strict)
  const gold = await readGold(folder, problems)
  const apis = await readApis(folder)
  const questions = new Map<Category, ApiBankQuestion[]>()
  for (const category of options.categories ?? categories) {
    const { level, file } = levels[category]
    let before: ApiBankQuestion | undefined
    const read = (row: JsonObject): ApiBankQuestion => {
      const known = gold.get(`${level}/${text(row, 'file')}/${idOf(row)}`)
      before = readQuestion(row, category, { known, apis, before })
      return before
    }
    questions.set(category, await readRecords(findFile(folder, file), read, problems))
  }
  const tokens = [...questions.values()].flat().flatMap(({ right }) => right.args.get('token') ?? [])
  return { questions, tokens: new Set(tokens), problems }
}

function findFile(folder: string, file: string): string {
  for (const below of ['.', 'test-data', 'json_test_data', 'api-bank/test-data']) {
    const path = join(folder, below, file)
    if (existsSync(path)) return path
  }
  return fail('Error', 'ERR_IO', `[api-bank] expected ${file} in ${folder} or its test-data/, found none`)
}

interface Gold {
  id: string
  right: ApiCall
  accepts: boolean
}

/** By `level/file/id`. */
async function readGold(folder: string, problems: Problems): Promise<Map<string, Gold>> {
  const path = join(folder, 'gold.jsonl')
  if (!existsSync(path)) return new Map()
  const read = (row: JsonObject): Gold => {
    const args = object(row.get('args'), '"args"')
    const level = row.get('level')
    return {
      id: `${level instanceof JsonNumber ? level.lexeme : ''}/${text(row, 'file')}/${idOf(row)}`,
      right: { name: text(row, 'name'), args: new Map([...args.keys()].map((key) => [key, text(args, key)])) },
      accepts: row.get('official_executor_accepts_gold_offline') === true,
    }
  }
  return new Map((await readRecords(path, read, problems)).map((entry) => [entry.id, entry]))
}

/** By name. */
async function readApis(folder: string): Promise<Map<string, JsonObject>> {
  const path = join(folder, 'apis.json')
  if (!existsSync(path)) return new Map()
  try {
    const list = parseJson(await readFile(path, 'utf8'))
    checkValues(list, 'it')
    if (!Array.isArray(list)) throw new Error(`expected a list, got ${kind(list)}`)
    return new Map(list.map((api) => [text(object(api, 'an API'), 'name'), object(api, 'an API')]))
  } catch (error) {
    return fail('Error', 'ERR_DATA', `[api-bank] apis.json: ${(error as Error).message}`, error)
  }
}

interface Context {
  known: Gold | undefined
  apis: ReadonlyMap<string, JsonObject>
  /** The row before. */
  before: ApiBankQuestion | undefined
}

function readQuestion(row: JsonObject, category: Category, { known, apis, before }: Context): ApiBankQuestion {
  const instruction = text(row, 'instruction')
  const input = text(row, 'input')
  const expected = text(row, 'expected_output').replace(/^\s*API-Request:\s*/, '')
  const name = /^\[?\s*([A-Za-z_]\w*)\(/.exec(expected)?.[1]
  if (name === undefined)
    throw new BadRecord('calls', `expected [Name(…)] as "expected_output", got ${expected.slice(0, 60)}`)
  const offered = [...describedIn(instruction), ...retrievedIn(input)]
  const known_ = apis.get(name)
  if (known_ && !offered.some((api) => api.get('name') === name)) offered.push(known_)
  const parameters = parametersOf(offered.find((api) => api.get('name') === name))
  const right = known?.right ?? parseWritten(expected, parameters)
  if (right === null)
    throw new BadRecord('calls', `the arguments of "expected_output" cannot be told apart: ${expected}`)
  const dialogue = `${levels[category].level}/${text(row, 'file')}`
  return {
    id: `level-${dialogue}/${idOf(row)}`,
    category,
    instruction,
    input,
    apis: offered,
    expected,
    right,
    duplicate:
      before?.id.startsWith(`level-${dialogue}/`) === true && before.input === input && before.expected === expected,
    officialAccepts: known?.accepts ?? null,
  }
}

export function parametersOf(api: JsonObject | undefined): string[] {
  const parameters = api?.get('input_parameters')
  return parameters instanceof Map ? [...parameters.keys()] : []
}

/** One description a line, in JSON, at the end of the instruction. */
function describedIn(instruction: string): JsonObject[] {
  const marker = 'API descriptions:\n'
  const from = instruction.lastIndexOf(marker)
  if (from < 0) throw new BadRecord('field', `expected "instruction" to hold ${JSON.stringify(marker.trim())}`)
  const lines = instruction.slice(from + marker.length).split('\n')
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const described = parseInner(line, 'an API description', 'tools')
      checkValues(described, 'an API description')
      return object(described, 'an API description')
    })
}

/** Descriptions that ToolSearcher found earlier in the dialogue: `->{…}` at the end of a line, as Python prints a dict. */
function retrievedIn(input: string): JsonObject[] {
  return input.split('\n').flatMap((line) => {
    const from = line.startsWith('API-Request: [ToolSearcher(') ? line.indexOf('->{') : -1
    const tree = from < 0 ? null : parseExpression(line.slice(from + 2).trim())
    if (tree === null) return []
    try {
      const value = toJson(evaluate(tree))
      const found = value instanceof Map && value.get('output') instanceof Map ? value.get('output') : value
      return found instanceof Map && typeof found.get('name') === 'string' ? [found] : []
    } catch (error) {
      if (error instanceof PythonError) return []
      throw error
    }
  })
}

function idOf(row: JsonObject): string {
  const id = row.get('id')
  if (id instanceof JsonNumber) return id.lexeme
  throw new BadRecord('field', `expected "id" to be a number, got ${kind(id)}`)
}

function text(row: JsonObject, key: string): string {
  const value = row.get(key)
  if (typeof value === 'string') return value
  throw new BadRecord('field', `expected "${key}" to be a text, got ${kind(value)}`)
}

function object(value: JsonValue | undefined, what: string): JsonObject {
  if (value instanceof Map) return value
  throw new BadRecord('field', `expected ${what} to be an object, got ${kind(value)}`)
}
