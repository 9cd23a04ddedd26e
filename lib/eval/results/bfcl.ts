// BFCL's result and score files, ours or the official tool's own: result/MODEL/[GROUP/]BFCL_V_CATEGORY_result.json and the same of `score`.

import { basename, join, relative } from 'node:path'
import type { JsonObject, JsonValue } from '../../text/json.js'
import { findCategory } from '../bfcl/categories.js'
import { filesBelow, namesIn, note, readJudged, shown, textAt } from './lines.js'
import type { JudgedQuestion, ResultSet } from './types.js'

const fileName = /^BFCL_(v3|v4)_(.+)_result\.json$/

/** A set for each model and version in a folder; none where it is no BFCL folder. */
export function readBfclResults(folder: string): ResultSet[] {
  return namesIn(join(folder, 'result'), 'folder').flatMap((model) => {
    const files = filesBelow(join(folder, 'result', model)).filter((file) => fileName.test(basename(file)))
    return (['v3', 'v4'] as const).flatMap((version) => {
      const own = files.filter((file) => fileName.exec(basename(file))?.[1] === version)
      if (own.length === 0) return []
      const problems: ResultSet['problems'] = []
      const questions = own.flatMap((file) => readCategory(folder, file, problems))
      return [{ benchmark: 'bfcl' as const, version, model, path: folder, questions, problems }]
    })
  })
}

function readCategory(folder: string, file: string, problems: ResultSet['problems']): JudgedQuestion[] {
  const category = fileName.exec(basename(file))![2]!
  if (!findCategory(category)) return [] // multi-turn or agentic, in an official tool's folder
  const inside = relative(join(folder, 'result'), file).replace(/_result\.json$/, '_score.json')
  const read = readJudged({ answers: file, scores: join(folder, 'score', inside) }, problems)
  if (!read) return []
  const { answers, failures } = read
  return answers.flatMap(({ line, value }) => {
    const id = textAt(value, 'id')
    if (id === undefined) {
      note(problems, file, line, 'expected an id', 'field')
      return []
    }
    const failure = failures.get(id)
    return [{ id, category, right: !failure, ...answerOf(value), ...(failure && failureOf(failure)) }]
  })
}

/** The thought, which the official layout keeps apart, and what was judged. */
function answerOf(line: JsonObject): Pick<JudgedQuestion, 'answer' | 'tokens'> {
  const thought = textAt(line, 'reasoning_content')
  const tokens = Number(shown(line.get('output_token_count')))
  return {
    answer: `${thought ? `<think>${thought}</think>\n` : ''}${shown(line.get('result'))}`,
    ...(Number.isFinite(tokens) && line.has('output_token_count') && { tokens }),
  }
}

function failureOf(line: JsonObject): Pick<JudgedQuestion, 'why' | 'question' | 'expected'> {
  const question = questionOf(line.get('prompt'))
  const expected = shown(line.get('possible_answer'))
  return {
    why: [shown(line.get('error_type')), shown(line.get('error'))].filter(Boolean).join(': '),
    ...(question && { question }),
    ...(expected && { expected }),
  }
}

/** The messages of a score file's prompt; a single one of the user as its text. */
function questionOf(prompt: JsonValue | undefined): string {
  const turns = prompt instanceof Map ? prompt.get('question') : undefined
  const messages = (Array.isArray(turns) ? turns.flat() : []).filter((message) => message instanceof Map)
  if (messages.length === 1) return shown(messages[0]!.get('content'))
  return messages.map((message) => `${shown(message.get('role'))}: ${shown(message.get('content'))}`).join('\n\n')
}
