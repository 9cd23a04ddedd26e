// Result, score and table files as the official tool lays them out, so that what reads its folders reads ours.
//
//   result/MODEL/[GROUP/]BFCL_v4_CATEGORY_result.json   one line a question: what the model said
//   score/MODEL/[GROUP/]BFCL_v4_CATEGORY_score.json     accuracy, then one line a failure
//   score/data_overall.csv, data_live.csv, …            the leaderboard's tables, one row
//
// Version 4 sorts the files into groups (non_live, live), version 3 does not.

import { join } from 'node:path'
import { JsonNumber, type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { toJson } from '../../text/python/json.js'
import { pyRepr, reprFloat } from '../../text/python/repr.js'
import { jsonLine, record, writeText } from '../output.js'
import { type Handler, isToolN1 } from '../tool-calls.js'
import { aggregate } from './aggregate.js'
import { type BfclVersion, type Category, categoryName, isRelevance } from './categories.js'
import type { BfclReport, Judged } from './evaluate.js'
import type { BfclQuestion } from './types.js'

/**
 * Writes all files below `folder`.
 *
 * @throws `ERR_IO` where one cannot be written
 */
export function writeBfclFiles(folder: string, report: BfclReport): void {
  const model = report.model.replaceAll('/', '_')
  for (const [category, judged] of report.judged) {
    const file = (kind: string) => join(folder, kind, model, fileName(category, report.version, kind))
    writeLines(
      file('result'),
      judged.map((item) => resultLine(item, report)),
    )
    writeLines(file('score'), scoreLines(category, judged, report))
  }
  for (const [name, row] of Object.entries(csvRows(report))) {
    const header = Object.keys(row)
    const text = [header, Object.values(row)].map((cells) => cells.join(',')).join('\n')
    writeText('bfcl', join(folder, 'score', `${name}.csv`), text)
  }
}

function fileName(category: Category, version: BfclVersion, kind: string): string {
  const name = `BFCL_${version}_${categoryName(category, version)}_${kind}.json`
  return version === 'v3' ? name : join(category.startsWith('live_') ? 'live' : 'non_live', name)
}

function resultLine({ question, answer, text }: Judged, { handler }: BfclReport): JsonObject {
  return record({
    id: question.id,
    result:
      answer.error !== undefined ? `Error during inference: ${answer.error}` : resultOf(text, answer.calls, handler),
    input_token_count: answer.promptTokens,
    output_token_count: answer.completionTokens,
    latency: answer.seconds,
    ...(text !== answer.text && { reasoning_content: thoughtOf(answer.text) }),
  })
}

/** What the official handler of the form keeps of an answer: Tool-N1's the parsed list or null, a native one the calls, others the text. */
function resultOf(
  text: string,
  calls: readonly { name: string; arguments: string }[] | undefined,
  handler: Handler,
): JsonValue {
  if (calls) return calls.map(({ name, arguments: source }) => new Map([[name, source]]))
  if (!isToolN1(handler)) return text
  const found = /<tool_call>/.exec(text)
  const from = found ? found.index + found[0].length : -1
  const to = from < 0 ? -1 : text.indexOf('</tool_call>', from)
  try {
    return to < 0 ? null : parseJson(text.slice(from, to).trim(), 'python')
  } catch {
    return null
  }
}

function thoughtOf(text: string): string {
  const thought = text.slice(0, text.lastIndexOf('</think>'))
  return thought.slice(thought.lastIndexOf('<think>') + (thought.includes('<think>') ? '<think>'.length : 0)).trim()
}

function scoreLines(category: Category, judged: readonly Judged[], report: BfclReport): JsonObject[] {
  const correct = judged.filter(({ verdict }) => verdict.valid).length
  const summary = record({
    accuracy: new JsonNumber(reprFloat(correct / judged.length)),
    correct_count: correct,
    total_count: judged.length,
  })
  const failures = judged.filter(({ verdict }) => !verdict.valid)
  return [summary, ...failures.map((item) => failureLine(category, item, report))]
}

function failureLine(category: Category, item: Judged, { model, version, handler }: BfclReport): JsonObject {
  const { question, answer, text, decoded, verdict } = item
  const value = 'value' in decoded ? decoded.value : null
  const raw = resultOf(text, answer.calls, handler)
  const shared = {
    id: question.id,
    model_name: model,
    test_category: categoryName(category, version),
    valid: false,
    error: verdict.errors,
    error_type: verdict.errorType,
    prompt: promptOf(question),
  }
  if (isRelevance(category)) return record({ ...shared, model_result: raw, decoded_result: toJson(value) })
  // What has no form of calls is stored as text, as Python prints it.
  const unreadable = verdict.errorType === 'ast_decoder:decoder_wrong_output_format'
  return record({
    ...shared,
    ...(verdict.sub && { sub_error_types: verdict.sub }),
    model_result_raw: raw,
    ...('value' in decoded && { model_result_decoded: unreadable ? pyRepr(value) : toJson(value) }),
    possible_answer: toJson(question.possibleAnswer),
  })
}

function promptOf({ id, messages, functions }: BfclQuestion): JsonObject {
  return record({ id, question: [messages], function: [...functions] })
}

/** The leaderboard's columns around the scores; what only a leaderboard knows is "N/A". */
function csvRows(report: BfclReport): Record<string, Record<string, string>> {
  const name = report.model.replaceAll(/[,\n\r"]/g, ' ')
  const tables = aggregate(report.counts, report.version)
  const rows: Record<string, Record<string, string>> = {}
  for (const [table, cells] of Object.entries(tables)) rows[table] = { Rank: '1', Model: name, ...cells }
  const { 'Overall Acc': overall, ...rest } = tables.data_overall ?? {}
  rows.data_overall = {
    Rank: '1',
    'Overall Acc': overall ?? 'N/A',
    Model: name,
    'Model Link': 'N/A',
    [report.version === 'v3' ? 'Cost ($ Per 1k Function Calls)' : 'Total Cost ($)']: 'N/A',
    ...latencyCells(report),
    ...rest,
    Organization: 'N/A',
    License: 'N/A',
  }
  return rows
}

function latencyCells({ judged }: BfclReport): Record<string, string> {
  const seconds = [...judged.values()].flat().map(({ answer }) => answer.seconds)
  const known = seconds.filter((value) => value > 0).sort((a, b) => a - b)
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  const spread = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (known.length - 1))
  // linear between the two nearest, as numpy's percentile
  const at = 0.95 * (known.length - 1)
  const below = known[Math.floor(at)] ?? Number.NaN
  const percentile = below + ((known[Math.ceil(at)] ?? below) - below) * (at - Math.floor(at))
  const show = (value: number) => (Number.isFinite(value) ? value.toFixed(2) : 'N/A')
  return {
    'Latency Mean (s)': show(mean),
    'Latency Standard Deviation (s)': show(spread),
    'Latency 95th Percentile (s)': show(percentile),
  }
}

function writeLines(file: string, lines: readonly JsonObject[]): void {
  writeText('bfcl', file, lines.map((line) => `${jsonLine(line)}\n`).join(''))
}
