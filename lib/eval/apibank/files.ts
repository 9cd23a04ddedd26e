// Predictions as the official `evaluator_by_json.py` reads them, and the scores by both rules.
//
//   pred/MODEL/level-1-api.jsonl          one line a question: file, id, what was asked, `pred`
//   score/MODEL/level-1-api_score.json    accuracies and the official evaluator's counts of errors, then one line a failure

import { join } from 'node:path'
import type { JsonObject } from '../../text/json.js'
import { jsonLine, record, writeText } from '../output.js'
import type { ApiBankReport, Judged } from './evaluate.js'

/**
 * Writes all files below `folder`.
 *
 * @throws `ERR_IO` where one cannot be written
 */
export function writeApiBankFiles(folder: string, { model, judged }: ApiBankReport): void {
  const name = model.replaceAll('/', '_')
  for (const [category, list] of judged) {
    const level = category === 'call' ? 'level-1-api' : 'level-2-api'
    writeLines(join(folder, 'pred', name, `${level}.jsonl`), list.map(prediction))
    const failures = list.filter(({ portable, official }) => !portable || !official.valid)
    writeLines(join(folder, 'score', name, `${level}_score.json`), [scores(list), ...failures.map(failureLine)])
  }
}

/** The dialogue's file and the question's place in it, out of `level-1/FILE/ID`. */
function place(id: string): { file: string; id: number } {
  const [, file = '', number = ''] = /^level-\d+\/(.*)\/(\d+)$/.exec(id) ?? []
  return { file, id: Number(number) }
}

function prediction({ question, text }: Judged): JsonObject {
  const { instruction, input, expected } = question
  return record({ ...place(question.id), instruction, input, expected_output: `API-Request: ${expected}`, pred: text })
}

function scores(judged: readonly Judged[]): JsonObject {
  const errors = new Map<string, number>()
  for (const { official } of judged) {
    if (official.errorType !== null) errors.set(official.errorType, (errors.get(official.errorType) ?? 0) + 1)
  }
  const portable = judged.filter((item) => item.portable).length
  const official = judged.filter((item) => item.official.valid).length
  return record({
    accuracy: portable / judged.length,
    correct_count: portable,
    official_accuracy: official / judged.length,
    official_correct_count: official,
    total_count: judged.length,
    official_errors: Object.fromEntries(errors),
  })
}

function failureLine({ question, answer, portable, difference, official }: Judged): JsonObject {
  return record({
    ...place(question.id),
    portable: { valid: portable, error: difference },
    official: { valid: official.valid, error_type: official.errorType, error: official.error },
    model_result: answer.text,
    expected: question.expected,
  })
}

function writeLines(file: string, lines: readonly JsonObject[]): void {
  writeText('api-bank', file, lines.map((line) => `${jsonLine(line)}\n`).join(''))
}
