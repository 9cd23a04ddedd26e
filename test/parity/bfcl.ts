import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Decoded, judge } from '../../lib/eval/bfcl/check.js'
import { loadBfcl } from '../../lib/eval/bfcl/dataset.js'
import type { BfclQuestion, Verdict } from '../../lib/eval/bfcl/types.js'
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../../lib/text/json.js'
import { fromJson, PyTuple, type PyValue } from '../../lib/text/python/value.js'
import type { FamilyResult, ParityOptions } from './result.js'

export const families = ['bfcl']

/** Compares with the official checker, decoders, prompts and aggregates whatever `root`/bfcl holds. */
export async function run(root: string, { data }: ParityOptions): Promise<FamilyResult[]> {
  const folder = join(root, 'bfcl')
  if (!existsSync(folder)) return []
  const result: FamilyResult = { family: 'bfcl', cases: 0, failed: 0, max_error: 0, messages: [] }
  const questions = await questionsById(join(data, 'bfcl'))
  checkVerdicts(join(folder, 'dev.jsonl'), questions, result)
  return [result]
}

async function questionsById(folder: string): Promise<Map<string, BfclQuestion>> {
  const { questions } = await loadBfcl(folder, { version: 'v4' })
  return new Map([...questions.values()].flat().map((question) => [question.id, question]))
}

/** Verdict, error type and sub-errors of outputs that are decoded already. */
function checkVerdicts(path: string, questions: Map<string, BfclQuestion>, result: FamilyResult): void {
  for (const row of rows(path)) {
    const decoded: Decoded =
      row.get('decode_failed') === true
        ? { failure: 'by the vector' }
        : { value: pythonValue(row.get('output') ?? null) }
    compareVerdict(row, decoded, questions, result)
  }
}

export function compareVerdict(
  row: JsonObject,
  decoded: Decoded,
  questions: Map<string, BfclQuestion>,
  result: FamilyResult,
): void {
  const id = String(row.get('id'))
  const question = questions.get(id)
  const what = `${id} ${String(row.get('mut'))} (${(row.get('vid') as JsonNumber | undefined)?.lexeme})`
  if (!question) return record(result, false, `${what}: no such question`)
  const verdict = judge(question, decoded, { underscoreToDot: row.get('u2d') === true })
  const expected = expectedVerdict(row)
  const given = { valid: verdict.valid, errorType: verdict.errorType, sub: verdict.sub ?? null }
  const same = JSON.stringify(given) === JSON.stringify(expected)
  record(
    result,
    same,
    `${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(given)} ${verdict.errors.join('; ')}`,
  )
}

function expectedVerdict(row: JsonObject): Omit<Verdict, 'errors' | 'sub'> & { sub: [number, string][] | null } {
  const sub = row.get('sub')
  return {
    valid: row.get('valid') === true,
    errorType: (row.get('error_type') as string | null) ?? null,
    sub: Array.isArray(sub) ? sub.map((pair) => plain(pair) as [number, string]) : null,
  }
}

const plain = (value: JsonValue): unknown =>
  Array.isArray(value) ? value.map(plain) : value instanceof JsonNumber ? value.toNumber() : value

/** A value as the vectors write it: `{"$tuple": […]}` is a tuple. */
export function pythonValue(value: JsonValue): PyValue {
  if (Array.isArray(value)) return value.map(pythonValue)
  if (!(value instanceof Map)) return fromJson(value)
  const tuple = value.get('$tuple')
  if (value.size === 1 && Array.isArray(tuple)) return new PyTuple(tuple.map(pythonValue))
  return new Map([...value].map(([key, item]) => [key, pythonValue(item)]))
}

export function* rows(path: string): Generator<JsonObject> {
  if (!existsSync(path)) return
  for (const line of readFileSync(path, 'utf8').split('\n')) if (line !== '') yield parseJson(line) as JsonObject
}

export function record(result: FamilyResult, passed: boolean, message: string): void {
  result.cases++
  if (passed) return
  result.failed++
  result.messages.push(`bfcl: ${message}`)
}
