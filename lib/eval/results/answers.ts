// What `callgrad eval --output FILE` writes: one scored answer a line.

import { closeSync, openSync, readSync } from 'node:fs'
import { note, readObjects, shown, textAt } from './lines.js'
import type { JudgedQuestion, ResultSet } from './types.js'

/** Whether a file begins like scored answers; only its first kilobytes are read. */
export function isAnswersFile(file: string): boolean {
  const start = Buffer.alloc(512)
  try {
    const handle = openSync(file, 'r')
    try {
      return /^\s*\{"id":.*"completion":/s.test(start.toString('utf8', 0, readSync(handle, start)))
    } finally {
      closeSync(handle)
    }
  } catch {
    return false
  }
}

/** The answers of a file. Ids that occur again (several samples of one question) are numbered. */
export function readAnswers(file: string): ResultSet {
  const problems: ResultSet['problems'] = []
  const seen = new Map<string, number>()
  const questions = readObjects(file, problems).flatMap(({ line, value }): JudgedQuestion[] => {
    const id = textAt(value, 'id')
    const answer = textAt(value, 'completion')
    const exact = value.get('exact')
    if (id === undefined || answer === undefined || typeof exact !== 'boolean') {
      note(problems, file, line, 'expected an id, a completion and whether it is exact', 'field')
      return []
    }
    const sample = (seen.get(id) ?? 0) + 1
    seen.set(id, sample)
    const tokens = Number(shown(value.get('tokens')))
    const why = textAt(value, 'explain')
    return [
      {
        id: sample > 1 ? `${id} (sample ${sample})` : id,
        category: id.replace(/[-_]?\d[\d_-]*$/, '') || 'all',
        right: exact,
        answer,
        ...(Number.isFinite(tokens) && { tokens }),
        ...(!exact && why && { why }),
        cut: value.get('finishReason') === 'length',
      },
    ]
  })
  return { benchmark: 'questions', model: '', path: file, questions, problems }
}
