import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { scoreCategory, summarize } from '../../lib/eval/acebench/aggregate.js'
import { type Category, type Version, versions } from '../../lib/eval/acebench/categories.js'
import { checkCalls, checkSpecial } from '../../lib/eval/acebench/check.js'
import { loadAceBench } from '../../lib/eval/acebench/dataset.js'
import { decodeAnswer } from '../../lib/eval/acebench/decode.js'
import { acePrompt } from '../../lib/eval/acebench/prompts.js'
import type { AceQuestion, DecodedCall, Verdict } from '../../lib/eval/acebench/types.js'
import { type JsonObject, type JsonValue, parseJson } from '../../lib/text/json.js'
import { pyRepr } from '../../lib/text/python/repr.js'
import { fromJson, type PyDict, PyTuple, type PyValue, pyEqual } from '../../lib/text/python/value.js'
import type { FamilyResult, ParityOptions } from './result.js'

export const families = ['acebench']

/** Compares with the official ACEBench code whatever `root`/acebench holds; the questions are in the data folder. */
export async function run(root: string, options: ParityOptions): Promise<FamilyResult[]> {
  const folder = join(root, 'acebench')
  if (!existsSync(folder)) return []
  return [await compare(folder, join(options.data, 'acebench'))]
}

export async function compare(folder: string, data: string): Promise<FamilyResult> {
  const result: FamilyResult = { family: 'acebench', cases: 0, failed: 0, max_error: 0, messages: [] }
  const record = (passed: boolean, message: () => string) => {
    result.cases++
    if (passed) return
    result.failed++
    result.messages.push(`acebench: ${message()}`)
  }
  const questions = await loadQuestions(data, folder)
  for (const row of rows(folder, 'dev.jsonl')) checkDecoded(row, questions, record)
  for (const row of rows(folder, 'raw_dev.jsonl')) checkRaw(row, questions, record)
  for (const row of rows(folder, 'prompts.jsonl')) checkPrompt(row, questions, record)
  for (const row of rows(folder, 'aggregate.jsonl')) checkAggregate(row, record)
  return result
}

type Record = (passed: boolean, message: () => string) => void
type Questions = ReadonlyMap<string, AceQuestion>

/** The questions of every category that the vectors name. */
async function loadQuestions(data: string, folder: string): Promise<Questions> {
  const named = ['dev.jsonl', 'raw_dev.jsonl', 'prompts.jsonl']
    .flatMap((file) => rows(folder, file))
    .map((row) => (row.get('category') ?? string(row, 'id').replace(/_\d+(?:_\d+)?$/, '')) as Category)
  const { questions } = await loadAceBench(data, { version: 'head', categories: [...new Set(named)], strict: true })
  return new Map([...questions.values()].flat().map((question) => [question.id, question]))
}

function* linesOf(path: string): Generator<string> {
  if (existsSync(path)) yield* readFileSync(path, 'utf8').split('\n')
}

function rows(folder: string, file: string): JsonObject[] {
  return [...linesOf(join(folder, file))].filter((line) => line !== '').map((line) => parseJson(line) as JsonObject)
}

function string(row: JsonObject, key: string): string {
  return row.get(key) as string
}

function questionOf(row: JsonObject, questions: Questions): AceQuestion {
  const question = questions.get(string(row, 'id'))
  if (!question) throw new Error(`the data has no question ${string(row, 'id')}`)
  return question
}

/** `output` as calls: its `floats`, JSON pointers, are floats that JSON spells as integers; `{"$tuple": […]}` is a tuple. */
function readCalls(output: JsonValue, floats: JsonValue | undefined): DecodedCall[] {
  let value = fromJson(output)
  for (const pointer of (floats ?? []) as string[])
    value = asFloat(value, pointer.split('/').slice(1).map(unescapePointer))
  return (tuples(value) as PyDict[]).map((call) => {
    const [[name, args] = ['', new Map()]] = [...call] as [string, PyDict][] // {} is a call without a name
    return { name, args }
  })
}

const unescapePointer = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~')

function asFloat(value: PyValue, [part, ...rest]: string[]): PyValue {
  if (part === undefined) return Number(value)
  if (Array.isArray(value)) return value.map((item, i) => (i === Number(part) ? asFloat(item, rest) : item))
  const dict = new Map(value as PyDict)
  dict.set(part, asFloat(dict.get(part) as PyValue, rest))
  return dict
}

function tuples(value: PyValue): PyValue {
  if (Array.isArray(value)) return value.map(tuples)
  if (!(value instanceof Map)) return value
  const items = value.get('$tuple')
  if (value.size === 1 && Array.isArray(items)) return new PyTuple(items.map(tuples))
  return new Map([...value].map(([key, item]) => [key, tuples(item)]))
}

function checkDecoded(row: JsonObject, questions: Questions, record: Record): void {
  const question = questionOf(row, questions)
  const verdict = checkCalls(readCalls(row.get('output') as JsonValue, row.get('floats')), question)
  compareVerdict(row, 'dev', verdict, row.get('valid'), row.get('error_type'), record)
}

function compareVerdict(
  row: JsonObject,
  what: string,
  { valid, errorType, error }: Verdict,
  wantedValid: JsonValue | undefined,
  wantedType: JsonValue | undefined,
  record: Record,
): void {
  record(valid === wantedValid && errorType === (wantedType ?? null), () => {
    const vid = pyRepr(fromJson(row.get('vid') ?? null))
    return `${what} ${vid} ${string(row, 'id')} ${string(row, 'mut')}: expected ${wantedValid} ${wantedType}, got ${valid} ${errorType} (${error})`
  })
}

/** The head's decoding and verdict, then the verdict of version 2504 on the same data. A raw answer of null is no text: it fails. */
function checkRaw(row: JsonObject, questions: Questions, record: Record): void {
  const question = questionOf(row, questions)
  const raw = row.get('raw')
  for (const version of versions) {
    const suffix = version === 'head' ? '' : '_2504'
    if (!row.has(`valid${suffix}`) || row.get(`valid${suffix}`) === null) continue
    const text = typeof raw === 'string' ? raw : ''
    const verdict = answerVerdict(text, question, version)
    compareVerdict(row, `raw${suffix}`, verdict, row.get(`valid${suffix}`), row.get(`error_type${suffix}`), record)
  }
  if (!question.category.startsWith('special')) checkDecoding(row, question, record)
}

function answerVerdict(text: string, question: AceQuestion, version: Version): Verdict {
  if (question.category.startsWith('special')) return checkSpecial(text, question.category, question.truth)
  const calls = decodeAnswer(text, question.category, version)
  return calls === null ? { valid: false, errorType: 'wrong_output_format', error: '' } : checkCalls(calls, question)
}

/** What the head decodes: equal values of equal types, so compared as `repr` spells them too. */
function checkDecoding(row: JsonObject, question: AceQuestion, record: Record): void {
  const raw = row.get('raw')
  const calls = typeof raw === 'string' ? decodeAnswer(raw, question.category, 'head') : null
  const got = calls?.map(({ name, args }): PyDict => new Map([[name, args]])) ?? null
  const message = (expected: string) => () =>
    `raw ${string(row, 'id')} ${string(row, 'mut')}: decoded ${got && pyRepr(got)}, expected ${expected}`
  const spelled = row.get('decoded_repr')
  const decoded = row.get('decoded')
  if (typeof spelled === 'string') record(got !== null && cut(pyRepr(got)) === spelled, message(spelled))
  else if (Array.isArray(decoded)) {
    const wanted = readCalls(decoded, row.get('floats')).map(({ name, args }): PyDict => new Map([[name, args]]))
    const same = got !== null && pyEqual(got, wanted) && pyRepr(got) === pyRepr(wanted)
    record(same, message(pyRepr(wanted)))
  } else record(got === null, message('a failure'))
}

/** The vectors keep so many characters of a repr. */
const cut = (text: string) => [...text].slice(0, 200).join('')

function checkPrompt(row: JsonObject, questions: Questions, record: Record): void {
  const [system, user] = acePrompt(questionOf(row, questions))
  record(
    system?.content === row.get('system') && user?.content === row.get('user'),
    () => `prompt ${string(row, 'id')}`,
  )
}

function checkAggregate(row: JsonObject, record: Record): void {
  const plain = (value: JsonValue | undefined) => [...(value as JsonObject)].map(([k, v]) => [k, Number(fromJson(v))])
  if (row.get('kind') === 'multi_turn') {
    const outcomes = [...(row.get('valid') as JsonObject)].map(([id, valid]) => ({ id, valid: valid === true }))
    const got = scoreCategory(row.get('category') as Category, outcomes)
    const official = Object.fromEntries(plain(row.get('official')))
    const same =
      got.accuracy === official.accuracy &&
      got.correct === official.correct_count &&
      got.total === official.total_count &&
      got.process === official.process_accuracy
    record(same, () => `aggregate ${string(row, 'case')}: ${JSON.stringify([got, official])}`)
    return
  }
  const accuracies: { [category: string]: number } = Object.fromEntries(plain(row.get('accuracies')))
  const official = new Map(plain(row.get('official')) as [string, number][])
  const summary = summarize(accuracies)
  for (const cell of ['atom', 'single_turn', 'multi_turn', 'normal', 'special', 'agent', 'overall'] as const) {
    const message = () =>
      `aggregate ${string(row, 'case')} ${cell}: expected ${official.get(cell)}, got ${summary[cell]}`
    record(summary[cell] === official.get(cell), message)
  }
  for (const [category, counts] of row.get('counts') as JsonObject) {
    if (category.includes('multi_turn') || category.startsWith('agent')) continue
    const [correct, total] = (counts as JsonValue[]).map((n) => Number(fromJson(n))) as [number, number]
    const outcomes = Array.from({ length: total }, (_, i) => ({ id: String(i), valid: i < correct }))
    const { accuracy } = scoreCategory(category as Category, outcomes)
    record(accuracy === accuracies[category], () => `aggregate ${string(row, 'case')} ${category}: ${accuracy}`)
  }
}
