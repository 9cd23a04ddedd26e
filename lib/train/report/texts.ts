// The questions' texts from the data that they were asked of: evaluations keep most of them with failures only, or not at all.

import { statSync } from 'node:fs'
import { loadDataset } from '../../data/load.js'
import { codedError } from '../../errors.js'
import { type Category as AceCategory, isCategory } from '../../eval/acebench/categories.js'
import { loadAceBench } from '../../eval/acebench/dataset.js'
import { type Category as BfclCategory, findCategory } from '../../eval/bfcl/categories.js'
import { loadBfcl } from '../../eval/bfcl/dataset.js'
import { shownTruth } from '../../eval/bfcl/failures.js'
import type { JudgedQuestion, ResultSet } from '../../eval/results/types.js'
import { pyRepr } from '../../text/python/repr.js'

type Texts = Map<string, { question: string; expected: string }>

/**
 * Puts question and right answer to the results that lack them. `data`: data sets as `callgrad eval --data` takes them, folders of BFCL and
 * ACEBench, files of one's own questions; each is used for the results whose ids it has.
 *
 * @throws `ERR_DATA` where a path has no question that the results ask
 */
export async function addTexts(results: readonly ResultSet[], data: readonly string[]): Promise<void> {
  for (const path of data) {
    const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
    const loaded = new Map<string, Promise<Texts>>()
    let found = 0
    for (const set of results) {
      if (folder !== (set.benchmark === 'bfcl' || set.benchmark === 'acebench')) continue
      const key = [set.benchmark, set.version, ...(folder ? categoriesOf(set) : [])].join(' ')
      if (!loaded.has(key)) loaded.set(key, textsOf(path, set))
      const texts = await loaded.get(key)!
      for (const question of set.questions) found += Number(addText(question, texts))
    }
    if (found > 0) continue
    throw codedError(
      'Error',
      'ERR_DATA',
      `[report] expected ${path} to have questions of these results, got none of them`,
    )
  }
}

function addText(question: JudgedQuestion, texts: Texts): boolean {
  const text = texts.get(question.id) ?? texts.get(question.id.replace(/ \(sample \d+\)$/, ''))
  if (!text) return false
  question.question ||= text.question
  question.expected ||= text.expected
  return true
}

async function textsOf(path: string, set: ResultSet): Promise<Texts> {
  try {
    if (set.benchmark === 'bfcl') return await bfclTexts(path, set)
    return set.benchmark === 'acebench' ? await aceTexts(path, set) : await ownTexts(path)
  } catch (error) {
    // The folder of another benchmark.
    if ((error as { code?: string }).code === 'ERR_IO' && set.benchmark !== 'questions') return new Map()
    throw error
  }
}

const categoriesOf = ({ questions }: ResultSet): string[] => [...new Set(questions.map(({ category }) => category))]

async function bfclTexts(path: string, set: ResultSet): Promise<Texts> {
  const categories = categoriesOf(set)
    .map(findCategory)
    .filter((name): name is BfclCategory => name !== undefined)
  const { questions } = await loadBfcl(path, { version: set.version ?? 'v4', categories })
  return new Map(
    [...questions.values()]
      .flat()
      .map((question) => [question.id, { question: conversation(question.messages), expected: shownTruth(question) }]),
  )
}

async function aceTexts(path: string, set: ResultSet): Promise<Texts> {
  const categories = categoriesOf(set).filter((name): name is AceCategory => isCategory(name))
  const { questions } = await loadAceBench(path, { version: 'head', categories })
  return new Map(
    [...questions.values()].flat().map(({ id, time, profile, dialogue, truth }) => [
      id,
      {
        question: [time, profile, dialogue].filter(Boolean).join('\n\n'),
        expected: typeof truth === 'string' ? truth : pyRepr(truth),
      },
    ]),
  )
}

async function ownTexts(path: string): Promise<Texts> {
  const { examples } = await loadDataset(path, { prompt: 'native' })
  return new Map(
    examples.map(({ id, messages, truth = '' }) => [id, { question: conversation(messages), expected: truth }]),
  )
}

/** A single message of the user as its text, several with who said them. */
function conversation(messages: readonly { role: string; content: string }[]): string {
  if (messages.length === 1) return messages[0]!.content
  return messages.map(({ role, content }) => `${role}: ${content}`).join('\n\n')
}
