import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Example, Message } from '../../lib/data/example.js'
import { readDataset } from '../../lib/data/load.js'
import { type Variant, variants } from '../../lib/reward/parse.js'
import { scoreToolCalls } from '../../lib/reward/tool-call.js'
import { type JsonObject, type JsonValue, parseJson } from '../../lib/text/json.js'
import { printJson } from '../../lib/text/json-print.js'
import type { FamilyResult } from './result.js'

export const families = ['tool_n1']

/** Compares with Tool-N1's released code whatever `root`/tool_n1 holds. */
export async function run(root: string): Promise<FamilyResult[]> {
  const folder = join(root, 'tool_n1')
  if (!existsSync(folder)) return []
  const result: FamilyResult = { family: 'tool_n1', cases: 0, failed: 0, max_error: 0, messages: [] }
  checkRewards(join(folder, 'rewards.jsonl'), result)
  checkSamples(join(folder, 'samples.jsonl'), result)
  return [result]
}

interface RewardRow {
  /** What was done to a right reply. */
  mut?: string
  case?: string
  completion: string
  truth: string
  scores: Record<Variant, number>
}

/** One case per row and variant. */
export function checkRewards(path: string, result: FamilyResult): void {
  for (const line of lines(path)) {
    const row = JSON.parse(line) as RewardRow
    for (const variant of variants) {
      const error = Math.abs(scoreOrZero(row, variant) - row.scores[variant])
      result.max_error = Math.max(result.max_error, error)
      record(result, error <= 1e-12, `${variant} ${row.mut ?? row.case}: off by ${error}`)
    }
  }
}

/** Where the released code raises over a broken truth the vectors say 0. */
function scoreOrZero(row: RewardRow, variant: Variant): number {
  try {
    return scoreToolCalls(row.completion, row.truth, variant).reward
  } catch {
    return 0
  }
}

interface SampleRow {
  source: 'xlam' | 'toolace'
  samples: { messages: Message[] }[]
  official_agrees?: boolean
}

/**
 * Messages to the byte, answers as values. Where the released parser cut an argument (`official_agrees` is false) its cut also stands in
 * the messages of later turns; there the calls of those turns are compared with the calls that were written into the record.
 */
export function checkSamples(path: string, result: FamilyResult): void {
  for (const [i, line] of lines(path).entries()) {
    const lossless = parseJson(line) as JsonObject
    const row = JSON.parse(line) as SampleRow
    const calls = (lossless.get('rendered_calls') ?? []) as JsonValue[]
    const answers = (lossless.get('samples') as JsonObject[]).map((sample) => sample.get('answer') as JsonValue)
    const examples = readRecord(lossless.get('record') as JsonObject, row.source)
    const counts = examples.length === row.samples.length
    record(result, counts, `sample ${i}: expected ${row.samples.length} examples, got ${examples.length}`)
    for (const [k, example] of examples.entries()) {
      const answer = row.source === 'xlam' ? answers[k] : calls[k]
      const truth = parseJson(example.truth ?? '')
      record(result, answer !== undefined && sorted(truth) === sorted(answer), `sample ${i}/${k}: the answer differs`)
      const cut = row.official_agrees === false ? calls.map((list) => printJson(list)) : []
      const messages = sameMessages(example.messages, row.samples[k]?.messages ?? [], cut)
      record(result, messages, `sample ${i}/${k}: the messages differ`)
    }
  }
}

function readRecord(value: JsonObject, format: SampleRow['source']): Example[] {
  try {
    return readDataset('samples.jsonl', new TextEncoder().encode(printJson(value)), { format }).examples
  } catch {
    return [] // a record without a usable turn is no data set
  }
}

const sorted = (value: JsonValue) => printJson(value, { sortKeys: true })

/** `cut`: calls that an assistant's message may hold instead of the expected text. */
function sameMessages(given: Message[], expected: Message[], cut: string[]): boolean {
  const calls = (content: string) => printJson(parseJson(JSON.parse(content)))
  const same = ({ role, content }: Message, i: number) =>
    role === expected[i]?.role &&
    (content === expected[i].content || (role === 'assistant' && cut.includes(calls(content))))
  return given.length === expected.length && given.every(same)
}

function lines(path: string): string[] {
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : []
}

function record(result: FamilyResult, passed: boolean, message: string): void {
  result.cases++
  if (passed) return
  result.failed++
  result.messages.push(`tool_n1: ${message}`)
}
