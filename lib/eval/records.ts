import { basename, dirname, join } from 'node:path'
import { checkValues } from '../data/formats/fields.js'
import { BadRecord, type Problem, problemError } from '../data/problems.js'
import { openSource } from '../data/source/open.js'
import { codedError } from '../errors.js'
import type { JsonObject } from '../text/json.js'

/** What was left out of a benchmark's files, and why. */
export class Problems {
  readonly list: Problem[] = []

  /** `strict`: the first problem is thrown as an error. */
  constructor(private readonly strict = false) {}

  add(problem: Problem): void {
    if (this.strict) throw problemError(problem)
    this.list.push(problem)
  }
}

/** A file as problems name it: with its folder, for the questions and their right answers often lie in files of one name. */
export const placeOf = (path: string) => join(basename(dirname(path)), basename(path))

/**
 * Every record of a benchmark's file (JSONL, or a JSON list), read by `read`, which throws a {@link BadRecord} over one that it cannot use.
 * Bad records are reported with file, line and reason and left out: what `read` refuses, lone surrogates and numbers that no reader of the
 * result files could hold, and a second one with an id that was there, unless `duplicates`.
 *
 * @throws `ERR_IO` for a file that cannot be opened, `ERR_DATA` where no record is left
 */
export async function readRecords<T extends { id: string }>(
  path: string,
  read: (record: JsonObject) => T,
  problems: Problems,
  { duplicates = false } = {},
): Promise<T[]> {
  const file = placeOf(path)
  const found: T[] = []
  const ids = new Set<string>()
  let count = 0
  let first: Problem | undefined
  for await (const { records } of (await openSource(path)).batches()) {
    for (const record of records) {
      count++
      try {
        const value = record.read()
        if (!(value instanceof Map)) throw new BadRecord('field', 'expected an object')
        checkValues(value, 'the record')
        const item = read(value)
        if (ids.has(item.id) && !duplicates) throw new BadRecord('duplicate_id', `the id ${item.id} was there before`)
        ids.add(item.id)
        found.push(item)
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error
        const problem = { file, line: record.line, kind: error.kind, reason: error.message }
        first ??= problem
        problems.add(problem)
      }
    }
  }
  if (found.length === 0) {
    const why = first ? `; line ${first.line}: ${first.reason}` : ''
    throw codedError('Error', 'ERR_DATA', `[data] ${file}: expected usable records, got none of ${count}${why}`)
  }
  return found
}
