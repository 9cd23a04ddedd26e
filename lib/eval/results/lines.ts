// Reading back the JSON lines that evaluations wrote. Broken lines are counted and told, never fatal.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Problem, ProblemKind } from '../../data/problems.js'
import { type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { printJson } from '../../text/json-print.js'

/** Where a reader puts what it cannot use. */
export type Problems = Problem[]

export function note(problems: Problems, file: string, line: number, reason: string, kind: ProblemKind = 'json'): void {
  problems.push({ file, line, kind, reason })
}

/** An object of a file of JSON lines, and its 1-based line. */
export interface Line {
  line: number
  value: JsonObject
}

/** The objects of a file of JSON lines; numbers keep how they were written. */
export function readObjects(file: string, problems: Problems): Line[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    note(problems, file, 0, (error as Error).message, 'file')
    return []
  }
  return text.split('\n').flatMap((source, i) => {
    if (source.trim() === '') return []
    try {
      const value = parseJson(source.replace(/^\ufeff/, ''), 'python')
      if (value instanceof Map) return [{ line: i + 1, value }]
      note(problems, file, i + 1, 'expected a JSON object')
    } catch (error) {
      note(problems, file, i + 1, (error as Error).message)
    }
    return []
  })
}

/** A value as a reader wants it: text as it is, anything else as JSON, a list one item a line. */
export function shown(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(shown).join('\n')
  return printJson(value, { ensureAscii: false })
}

/** The value under a key where it is text, else undefined. */
export function textAt(object: JsonObject, key: string): string | undefined {
  const value = object.get(key)
  return typeof value === 'string' ? value : undefined
}

/** Names in a folder, sorted; none where it is missing. */
export function namesIn(folder: string, kind: 'folder' | 'file'): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => (kind === 'folder' ? entry.isDirectory() : entry.isFile()))
      .map(({ name }) => name)
      .sort()
  } catch {
    return []
  }
}

/** Paths of the files below a folder, sorted. */
export function filesBelow(folder: string): string[] {
  const inner = namesIn(folder, 'folder').flatMap((name) => filesBelow(join(folder, name)))
  return [...namesIn(folder, 'file').map((name) => join(folder, name)), ...inner]
}

/**
 * The lines of a file of answers, and of the score file beside it the failed questions by id: every line but the first, which has the
 * counts. Null where a line of either cannot be read, or the count is not that of the answers: then the scores belong to another
 * evaluation and tell nothing of these. What is wrong is noted.
 */
export function readJudged(
  { answers: answersFile, scores }: { answers: string; scores: string },
  problems: Problems,
  idOf: (line: JsonObject) => string | undefined = (line) => textAt(line, 'id'),
): { answers: Line[]; failures: Map<string, JsonObject> } | null {
  const leftOut = (file: string, line: number, why: string): null => {
    note(problems, file, line, `${why}: its category is left out`, 'file')
    return null
  }
  const before = problems.length
  /** Why a file of which something is noted already is of no use. */
  const unread = () => `${problems.at(-1)?.kind === 'file' ? 'the file' : 'a line'} could not be read`
  const answers = readObjects(answersFile, problems)
  if (problems.length > before) return leftOut(answersFile, 0, unread())
  const [head, ...lines] = readObjects(scores, problems)
  if (problems.length > before) return leftOut(scores, 0, unread())
  if (!head) return leftOut(scores, 0, 'expected scores, got an empty file')
  const count = Number(shown(head.value.get('total_count')))
  if (count !== answers.length) {
    const got = Number.isFinite(count) ? `${count}` : 'no count'
    return leftOut(scores, head.line, `expected the scores of ${answers.length} answers, got ${got}`)
  }
  const failures = new Map<string, JsonObject>()
  for (const { line, value } of lines) {
    const id = idOf(value)
    if (id === undefined) note(problems, scores, line, 'expected an id', 'field')
    else failures.set(id, value)
  }
  return { answers, failures }
}
