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

/** The objects of a file of JSON lines, each with its 1-based line; numbers keep how they were written. */
export function readObjects(file: string, problems: Problems): { line: number; value: JsonObject }[] {
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
 * The failed questions of a score file by id: every line but the first, which has the counts. Null where it cannot be used, or its count
 * of questions is not `asked`: then it belongs to another evaluation and tells nothing of these answers.
 */
export function readScores(
  file: string,
  asked: number,
  problems: Problems,
  idOf: (line: JsonObject) => string | undefined = (line) => textAt(line, 'id'),
): Map<string, JsonObject> | null {
  const before = problems.length
  const [head, ...lines] = readObjects(file, problems)
  const count = Number(shown(head?.value.get('total_count')))
  if (head?.line !== 1 || problems.length > before || count !== asked) {
    const why = head
      ? `expected the scores of ${asked} answers, got ${Number.isFinite(count) ? `${count}` : 'no count'}`
      : 'expected scores'
    note(problems, file, head ? 1 : 0, `${why}: its category is left out`, 'file')
    return null
  }
  const failures = new Map<string, JsonObject>()
  for (const { line, value } of lines) {
    const id = idOf(value)
    if (id === undefined) note(problems, file, line, 'expected an id', 'field')
    else failures.set(id, value)
  }
  return failures
}
