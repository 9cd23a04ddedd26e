// Result and score files as the official tool lays them out, so that what reads its folders reads ours.
//
//   result_all/result_en/MODEL/data_CATEGORY_result.json   one line a question: what the model said
//   score_all/score_en/MODEL/data_CATEGORY_score.json      accuracy, then one line a failure
//   score_all/score_en/result.csv                          the table that the official tool writes as result.xlsx

import { join } from 'node:path'
import type { JsonObject } from '../../text/json.js'
import { toJson } from '../../text/python/json.js'
import { pyRepr } from '../../text/python/repr.js'
import { jsonLine, record, writeText } from '../output.js'
import { type Category, categories, isMultiTurn, versions } from './categories.js'
import type { AceReport, Judged } from './evaluate.js'
import type { DecodedCall } from './types.js'

/**
 * Writes all files below `folder`.
 *
 * @throws `ERR_IO` where one cannot be written
 */
export function writeAceFiles(folder: string, report: AceReport): void {
  const model = report.model.replaceAll('/', '_')
  for (const [category, judged] of report.judged) {
    const file = (kind: string) => join(folder, `${kind}_all`, `${kind}_en`, model, `data_${category}_${kind}.json`)
    writeLines(file('result'), judged.map(resultLine))
    writeLines(file('score'), scoreLines(category, judged, report))
  }
  writeText('acebench', join(folder, 'score_all', 'score_en', 'result.csv'), table(report))
}

/** Calls that came as JSON are written as the text that the official decoder reads. */
function resultLine({ question, answer, text, calls }: Judged): JsonObject {
  const said = answer.error === undefined ? text : `Error during inference: ${answer.error}`
  const json = answer.calls !== undefined || /<tool_call>/.test(text)
  return record({ id: question.id, result: json && calls !== null ? spelled(calls) : said })
}

function spelled(calls: readonly DecodedCall[]): string {
  const one = ({ name, args }: DecodedCall) => {
    const given = [...args].map(([key, value]) => `${typeof key === 'string' ? key : '**'}=${pyRepr(value)}`)
    return `${name}(${given.join(', ')})`
  }
  return `[${calls.map(one).join(', ')}]`
}

function scoreLines(category: Category, judged: readonly Judged[], report: AceReport): JsonObject[] {
  const score = report.scores[report.version].get(category)
  const head = {
    accuracy: score?.accuracy,
    correct_count: score?.correct,
    total_count: score?.total,
    process_accuracy: score?.process,
  }
  const failures = judged.filter(({ verdicts }) => !verdicts[report.version].valid)
  return [record(head), ...failures.map((item) => failureLine(item, category, report))]
}

function failureLine({ question, text, verdicts }: Judged, category: Category, { version }: AceReport): JsonObject {
  const { errorType, error } = verdicts[version]
  const said = category.startsWith('special')
    ? 'model_result_decoded'
    : errorType === 'wrong_output_format' && !isMultiTurn(category)
      ? 'model_result_raw'
      : 'model_result'
  return record({
    id: question.id,
    ...(isMultiTurn(category) && { turn: question.id.split('_').at(-2) }),
    valid: false,
    error: [error],
    error_type: errorType,
    [said]: text,
    possible_answer: toJson(question.truth),
  })
}

/** The official table's columns with both versions' code, one row each; categories that were not evaluated are empty. */
function table(report: AceReport): string {
  const name = report.model.replaceAll(/[,\n\r"]/g, ' ')
  const { toolN1, agent: _, ...summary } = report.summary
  const header = ['Model', 'code', ...categories, ...Object.keys(summary), 'atom_and_single_turn']
  const rows = versions.map((version) => [
    name,
    version,
    ...categories.map((category) => report.scores[version].get(category)?.accuracy ?? ''),
    ...(version === report.version ? [...Object.values(summary), toolN1] : []),
  ])
  return `${[header, ...rows].map((cells) => cells.join(',')).join('\n')}\n`
}

function writeLines(file: string, lines: readonly JsonObject[]): void {
  writeText('acebench', file, lines.map(jsonLine).join('\n'))
}
