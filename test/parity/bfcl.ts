import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { aggregate, type Count, type Tables } from '../../lib/eval/bfcl/aggregate.js'
import type { BfclVersion, Language } from '../../lib/eval/bfcl/categories.js'
import { type Decoded, judge } from '../../lib/eval/bfcl/check.js'
import { loadBfcl } from '../../lib/eval/bfcl/dataset.js'
import { decodeAnswer, loadGrammars } from '../../lib/eval/bfcl/decode.js'
import { bfclQuestion, promptText } from '../../lib/eval/bfcl/prompts.js'
import type { BfclQuestion, Verdict } from '../../lib/eval/bfcl/types.js'
import type { Handler } from '../../lib/eval/tool-calls.js'
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../../lib/text/json.js'
import { toPlain } from '../../lib/text/json-print.js'
import { pyRepr } from '../../lib/text/python/repr.js'
import { fromJson, type PyKey, PyTuple, type PyValue } from '../../lib/text/python/value.js'
import type { FamilyResult, ParityOptions } from './result.js'

export const families = ['bfcl']

/** Compares with the official checker, decoders, prompts and aggregates whatever `root`/bfcl holds. */
export async function run(root: string, { data }: ParityOptions): Promise<FamilyResult[]> {
  const folder = join(root, 'bfcl')
  if (!existsSync(folder)) return []
  const result: FamilyResult = { family: 'bfcl', cases: 0, failed: 0, max_error: 0, messages: [] }
  const questions = await questionsById(join(data, 'bfcl'), 'v4')
  checkVerdicts(join(folder, 'dev.jsonl'), questions, result)
  await loadGrammars()
  for (const file of readdirSync(folder))
    if (/^raw.*[.]jsonl$/.test(file)) checkAnswers(join(folder, file), questions, result)
  for (const version of ['v3', 'v4'] as const) {
    checkAggregates(join(folder, `aggregate_${version}.jsonl`), version, result)
    const prompts = join(folder, `prompts_${version}.jsonl`)
    if (existsSync(prompts)) checkPrompts(prompts, version, await questionsById(join(data, 'bfcl'), version), result)
  }
  return [result]
}

async function questionsById(folder: string, version: BfclVersion): Promise<Map<string, BfclQuestion>> {
  const { questions } = await loadBfcl(folder, { version })
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

/** Every cell as the official CSV files print it. */
function checkAggregates(path: string, version: BfclVersion, result: FamilyResult): void {
  for (const [i, row] of [...rows(path)].entries()) {
    const { counts, expected } = toPlain(row) as { counts: Record<string, Count>; expected: Tables }
    const tables = aggregate(new Map(Object.entries(counts)), version)
    for (const [table, cells] of Object.entries(expected)) {
      for (const [column, cell] of Object.entries(cells)) {
        const given = tables[table]?.[column]
        record(result, given === cell, `${version} row ${i} ${table} ${column}: expected ${cell}, got ${given}`)
      }
    }
  }
}

/** Messages, and the text of handlers that write their own. */
function checkPrompts(
  path: string,
  version: BfclVersion,
  questions: Map<string, BfclQuestion>,
  result: FamilyResult,
): void {
  for (const row of rows(path)) {
    const { id, messages, ...texts } = toPlain(row) as { id: string; messages: unknown } & Record<string, unknown>
    const question = questions.get(id)
    if (!question) {
      record(result, false, `${version} ${id}: no such question`)
      continue
    }
    const asked = bfclQuestion(question, { handler: 'prompt', version })
    record(result, JSON.stringify(asked.messages) === JSON.stringify(messages), `${version} ${id}: the messages differ`)
    for (const [name, text] of Object.entries(texts)) {
      const { prompt = [] } = bfclQuestion(question, { handler: handlersByName[name]!, version })
      record(
        result,
        promptText(prompt) === text,
        `${version} ${id} ${name}: ${difference(promptText(prompt), String(text))}`,
      )
    }
  }
}

function difference(given: string, expected: string): string {
  if (given === expected) return ''
  let at = 0
  while (given[at] === expected[at]) at++
  return `differs at ${at}: expected ${JSON.stringify(expected.slice(at, at + 40))}, got ${JSON.stringify(given.slice(at, at + 40))}`
}

const handlersByName: Record<string, Handler> = { prompt_default: 'prompt', qwen_fc: 'qwen-fc', tool_n1: 'tool-n1' }

/** What the decoders make of raw texts, and the verdict on it. */
function checkAnswers(path: string, questions: Map<string, BfclQuestion>, result: FamilyResult): void {
  for (const row of rows(path)) {
    const handler = handlersByName[String(row.get('handler'))]!
    const decoded = decodeAnswer(String(row.get('raw')), handler, row.get('lang') as Language, 'v4')
    const what = `${String(row.get('id'))} ${handler} ${String(row.get('mut'))}: ${JSON.stringify(row.get('raw')).slice(0, 120)}`
    if (row.get('decode_error') !== null) {
      record(result, 'failure' in decoded, `${what}: expected a failure, got ${shown(decoded)}`)
    } else {
      const expected = pythonValue(row.get('decoded') ?? null)
      record(
        result,
        'value' in decoded && pyRepr(withTextKeys(decoded.value)) === pyRepr(expected),
        `${what}: expected ${pyRepr(expected)}, got ${shown(decoded)}`,
      )
    }
    compareVerdict(row, decoded, questions, result)
  }
}

const shown = (decoded: Decoded) => ('value' in decoded ? pyRepr(decoded.value) : `failure ${decoded.failure}`)

/** Keys as JSON writes them. */
function withTextKeys(value: PyValue): PyValue {
  if (Array.isArray(value)) return value.map(withTextKeys)
  if (value instanceof PyTuple) return new PyTuple(value.items.map(withTextKeys))
  if (!(value instanceof Map)) return value
  const key = (k: string | PyKey) => (typeof k === 'string' ? k : k.value === null ? 'null' : pyRepr(k.value))
  return new Map([...value].map(([k, item]) => [key(k), withTextKeys(item)]))
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
  if (!question) {
    record(result, false, `${what}: no such question`)
    return
  }
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
