// What `callgrad eval --output FILE` writes: one scored answer a line.

import { closeSync, openSync, readSync } from 'node:fs'
import { note, readObjects, shown, textAt } from './lines.js'
import type { JudgedQuestion, ResultSet } from './types.js'

const startBytes = 1 << 16

/** Whether a file begins like scored answers; only its first 64 KB are read. */
export function isAnswersFile(file: string): boolean {
  const start = Buffer.alloc(startBytes)
  try {
    const handle = openSync(file, 'r')
    try {
      const [first = '', ...more] = start.toString('utf8', 0, readSync(handle, start)).split('\n')
      // A line longer than that is told by the keys that it begins with.
      if (more.length === 0 && first.length > startBytes / 2) return /^\s*\{"id":.*"completion":/s.test(first)
      const value: unknown = JSON.parse(first)
      return typeof value === 'object' && value !== null && 'completion' in value && 'exact' in value
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
