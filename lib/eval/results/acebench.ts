// ACEBench's files, ours or the official tool's: result_all/result_en/MODEL/data_CATEGORY_result.json and the same of `score`.

import { join } from 'node:path'
import { isCategory } from '../acebench/categories.js'
import { namesIn, note, readJudged, shown, textAt } from './lines.js'
import type { JudgedQuestion, ResultSet } from './types.js'

/** A set for each model in a folder; none where it is no ACEBench folder. */
export function readAceResults(folder: string): ResultSet[] {
  const results = join(folder, 'result_all', 'result_en')
  return namesIn(results, 'folder').flatMap((model) => {
    const problems: ResultSet['problems'] = []
    const questions = namesIn(join(results, model), 'file').flatMap((name) => {
      const category = /^data_(.+)_result\.json$/.exec(name)?.[1]
      return category && isCategory(category) ? readCategory(folder, model, category, problems) : []
    })
    return questions.length + problems.length === 0
      ? []
      : [{ benchmark: 'acebench' as const, model, path: folder, questions, problems }]
  })
}

function readCategory(folder: string, model: string, category: string, problems: ResultSet['problems']) {
  const file = (kind: string) => join(folder, `${kind}_all`, `${kind}_en`, model, `data_${category}_${kind}.json`)
  const read = readJudged({ answers: file('result'), scores: file('score') }, problems)
  if (!read) return []
  const { answers, failures } = read
  return answers.flatMap(({ line, value }): JudgedQuestion[] => {
    const id = textAt(value, 'id')
    if (id === undefined) {
      note(problems, file('result'), line, 'expected an id', 'field')
      return []
    }
    const answer = shown(value.get('result'))
    const failure = failures.get(id)
    if (!failure) return [{ id, category, right: true, answer }]
    const why = [shown(failure.get('error_type')), shown(failure.get('error'))].filter(Boolean).join(': ')
    return [{ id, category, right: false, answer, why, expected: shown(failure.get('possible_answer')) }]
  })
}
