// A BFCL data folder: questions and right answers of the single-turn categories, as version 3 or 4 of the benchmark has them.
//
// Understood layouts: `question/` and `possible_answer/` side by side, or (the official repository's) `data/BFCL_v4_*.json` with
// `data/possible_answer/`. Version 3 is read from its own files, or from version 4's and the differences in `v3_overrides.json`
// (with `BFCL_v3_live_relevance.json`), where a folder has those.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkValues } from '../../data/formats/fields.js'
import { BadRecord } from '../../data/problems.js'
import { fail } from '../../errors.js'
import { type JsonObject, type JsonValue, parseJson } from '../../text/json.js'
import { fromJson } from '../../text/python/value.js'
import { Problems, placeOf, readRecords } from '../records.js'
import { type BfclVersion, type Category, categories, categoryName, isRelevance } from './categories.js'
import {
  type AnswerRecord,
  type QuestionRecord,
  readAnswer,
  readFunctions,
  readMessages,
  readQuestion,
  readTruth,
} from './read-records.js'
import type { BfclQuestion } from './types.js'

export interface BfclOptions {
  version: BfclVersion
  /** Default: all single-turn categories. */
  categories?: readonly Category[]
  /** The first bad record is an error. Default false: bad records are reported and left out. */
  strict?: boolean
}

export interface BfclDataset {
  version: BfclVersion
  questions: Map<Category, BfclQuestion[]>
  problems: Problems
}

/**
 * Reads the questions of a folder.
 *
 * @throws `ERR_IO` for a category without a file, `ERR_DATA` for a file without a usable record (with `strict`: any bad record)
 */
export async function loadBfcl(folder: string, options: BfclOptions): Promise<BfclDataset> {
  const { version, strict = false } = options
  const problems = new Problems(strict)
  const overrides = version === 'v3' ? await readOverrides(folder) : null
  const questions = new Map<Category, BfclQuestion[]>()
  for (const category of options.categories ?? categories) {
    questions.set(category, await loadCategory(folder, category, version, overrides, problems))
  }
  return { version, questions, problems }
}

async function loadCategory(
  folder: string,
  category: Category,
  version: BfclVersion,
  overrides: Overrides | null,
  problems: Problems,
): Promise<BfclQuestion[]> {
  const found = findFiles(folder, category, version)
  if (found === null) return missing(folder, category, version, overrides)
  const changes = found.version === version ? null : overrides
  if (changes === null && found.version !== version) return missing(folder, category, version, overrides)
  // version 3's live_relevance has one id twice
  const records = await readRecords(found.question, readQuestion, problems, {
    duplicates: category === 'live_relevance',
  })
  const answers = isRelevance(category) ? new Map<string, AnswerRecord>() : await readAnswers(found.answer, problems)
  const questions: BfclQuestion[] = []
  for (const record of records) {
    if (changes?.dropped.has(record.id)) continue
    const answer = changes?.answers.get(record.id) ?? answers.get(record.id)
    if (!answer && !isRelevance(category)) {
      const file = placeOf(found.answer)
      problems.add({ file, line: 0, kind: 'calls', reason: `no right answer for ${record.id}` })
      continue
    }
    questions.push(assemble(record, answer, category, version, changes))
  }
  return questions
}

async function readAnswers(path: string, problems: Problems): Promise<Map<string, AnswerRecord>> {
  const answers = await readRecords(path, readAnswer, problems)
  return new Map(answers.map((answer) => [answer.id, answer]))
}

function assemble(
  record: QuestionRecord,
  answer: AnswerRecord | undefined,
  category: Category,
  version: BfclVersion,
  changes: Overrides | null,
): BfclQuestion {
  const { id, messages, functions, schemas } = changes?.questions.get(record.id)?.(record) ?? record
  const name = categoryName(category, version)
  const ownId =
    changes?.renamed.get(id) ?? (changes && id.startsWith(`${category}_`) ? name + id.slice(category.length) : id)
  return {
    id: ownId,
    category,
    messages,
    functions,
    schemas,
    truth: answer?.truth ?? [],
    possibleAnswer: answer?.possibleAnswer ?? null,
  }
}

interface Files {
  version: BfclVersion
  question: string
  answer: string
}

/** The files of a category: the version's own, else the other's. */
function findFiles(folder: string, category: Category, version: BfclVersion): Files | null {
  for (const have of version === 'v3' ? (['v3', 'v4'] as const) : (['v4'] as const)) {
    const file = `BFCL_${have}_${categoryName(category, have)}.json`
    for (const [questions, answers] of [
      ['question', 'possible_answer'],
      ['.', 'possible_answer'],
      ['data', join('data', 'possible_answer')],
      [join('bfcl_eval', 'data'), join('bfcl_eval', 'data', 'possible_answer')],
    ] as const) {
      const question = join(folder, questions, file)
      if (existsSync(question)) return { version: have, question, answer: join(folder, answers, file) }
    }
  }
  return null
}

function missing(folder: string, category: Category, version: BfclVersion, overrides: Overrides | null): never {
  const file = `BFCL_${version}_${categoryName(category, version)}.json`
  const hint =
    version === 'v3' && overrides === null ? " (version 4's files serve for version 3 beside a v3_overrides.json)" : ''
  return fail('Error', 'ERR_IO', `[bfcl] expected ${file} in ${join(folder, 'question')}, found none${hint}`)
}

/** How version 3's questions differ from version 4's. */
interface Overrides {
  /** By version 4's id. */
  questions: Map<string, (record: QuestionRecord) => QuestionRecord>
  answers: Map<string, AnswerRecord>
  dropped: Set<string>
  renamed: Map<string, string>
}

async function readOverrides(folder: string): Promise<Overrides | null> {
  const path = join(folder, 'v3_overrides.json')
  if (!existsSync(path)) return null
  try {
    const value = entries(parseJson(await readFile(path, 'utf8')))
    checkValues(value, 'it')
    const questions = new Map<string, (record: QuestionRecord) => QuestionRecord>()
    for (const [id, fields] of entries(value.get('questions'))) questions.set(id, replacing(entries(fields)))
    const answers = [...entries(value.get('answers'))].map(([id, truth]): [string, AnswerRecord] => {
      return [id, { id, truth: readTruth(truth), possibleAnswer: fromJson(truth) }]
    })
    const dropped = value.get('not_in_v3')
    const renamed = [...entries(value.get('id_renames'))].map(([id, to]): [string, string] => [id, String(to)])
    return {
      questions,
      answers: new Map(answers),
      dropped: new Set(Array.isArray(dropped) ? dropped.map(String) : []),
      renamed: new Map(renamed),
    }
  } catch (error) {
    return fail('Error', 'ERR_DATA', `[bfcl] v3_overrides.json: ${(error as Error).message}`, error)
  }
}

/** Fields of a question that version 3 has otherwise. */
function replacing(fields: JsonObject): (record: QuestionRecord) => QuestionRecord {
  const changed = {
    ...(fields.has('question') && { messages: readMessages(fields.get('question')) }),
    ...(fields.has('function') && readFunctions(fields.get('function'))),
  }
  return (record) => ({ ...record, ...changed })
}

function entries(value: JsonValue | undefined): JsonObject {
  if (value instanceof Map) return value
  if (value === undefined) return new Map()
  throw new BadRecord('field', 'expected an object')
}
