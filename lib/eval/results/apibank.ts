// API-Bank's files: pred/MODEL/level-N-api.jsonl has each question and answer, score/MODEL/level-N-api_score.json what failed by which rule.

import { join } from 'node:path'
import type { JsonObject } from '../../text/json.js'
import { namesIn, note, readJudged, shown, textAt } from './lines.js'
import type { JudgedQuestion, ResultSet } from './types.js'

const levels = [
  { level: 'level-1', category: 'call' },
  { level: 'level-2', category: 'retrieve+call' },
] as const

/** A set for each model in a folder; none where it is no API-Bank folder. */
export function readApiBankResults(folder: string): ResultSet[] {
  return namesIn(join(folder, 'pred'), 'folder').flatMap((model) => {
    const files = namesIn(join(folder, 'pred', model), 'file')
    const problems: ResultSet['problems'] = []
    const questions = levels.flatMap(({ level, category }) =>
      files.includes(`${level}-api.jsonl`) ? readLevel(folder, model, level, category, problems) : [],
    )
    return questions.length + problems.length === 0
      ? []
      : [{ benchmark: 'api-bank' as const, model, path: folder, questions, problems }]
  })
}

/** The dialogue's file and the place in it, under the name that the evaluation gives the question. */
function idOf(level: string, line: JsonObject): string | undefined {
  const [file, place] = [shown(line.get('file')), shown(line.get('id'))]
  return file === '' || place === '' ? undefined : `${level}/${file}/${place}`
}

function readLevel(folder: string, model: string, level: string, category: string, problems: ResultSet['problems']) {
  const file = join(folder, 'pred', model, `${level}-api.jsonl`)
  const scores = join(folder, 'score', model, `${level}-api_score.json`)
  const read = readJudged({ answers: file, scores }, problems, (line) => idOf(level, line))
  if (!read) return []
  const { answers, failures } = read
  return answers.flatMap(({ line, value }): JudgedQuestion[] => {
    const id = idOf(level, value)
    if (id === undefined) {
      note(problems, file, line, 'expected a file and an id', 'field')
      return []
    }
    const failure = failures.get(id)
    const portable = verdict(failure, 'portable')
    const official = verdict(failure, 'official')
    return [
      {
        id,
        category,
        right: portable.valid,
        official: official.valid,
        answer: textAt(value, 'pred') ?? '',
        question: shown(value.get('input')),
        expected: shown(value.get('expected_output')),
        ...(!portable.valid && { why: portable.error }),
      },
    ]
  })
}

/** What a rule says of a question; it passed where it is not among the failures. */
function verdict(failure: JsonObject | undefined, rule: string): { valid: boolean; error: string } {
  const said = failure?.get(rule)
  if (!(said instanceof Map)) return { valid: true, error: '' }
  return { valid: said.get('valid') === true, error: shown(said.get('error')) }
}
