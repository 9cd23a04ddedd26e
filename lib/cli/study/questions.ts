// Which questions of a benchmark a study asks: of categories that share none with the training data, so many each, drawn by a seed. They are
// written as a folder of the benchmark's own layout, lines as they were, so that the ordinary command asks them.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { loadDataset } from '../../data/load.js'
import { Random } from '../../data/random.js'
import { fail } from '../../errors.js'
import { pickNames } from '../benchmark.js'
import { questionOf } from '../examples.js'
import { filesDigest, readJson } from './made.js'
import type { BenchmarkSpec, Study } from './settings.js'

export interface CategoryQuestions {
  /** Questions of the whole category. */
  of: number
  /** Of these, questions whose id or text a record of the training data has. */
  trained: number
  /** And questions that dev has too: not trained on, but asked twice. */
  inDev: number
  /** Drawn; 0 where the category shares a question with the training data. */
  asked: number
}

export interface BenchmarkQuestions {
  /** The folder for `--data`. */
  data: string
  counts: Record<string, CategoryQuestions>
}

export type Questions = Partial<Record<'bfcl' | 'acebench', BenchmarkQuestions>>

interface Prepared {
  /** What the study file says of them. */
  under: string
  /** Of the files that they were drawn from; older versions wrote none. */
  digest?: string
  questions: Questions
}

/** The questions of both benchmarks, drawn once; drawn again where the study file or a file of theirs is another. */
export async function prepareQuestions(study: Study): Promise<Questions> {
  const { bfcl, acebench, dev } = study.evaluations
  const file = join(study.folder, 'questions', 'questions.json')
  const under = JSON.stringify({ bfcl, acebench, trainedOn: study.trainedOn, dev: dev.data })
  const digest = filesDigest(await sourcesOf(study))
  const before = readJson<Prepared>(file)
  if (before?.under === under && (before.digest ?? digest) === digest) {
    if (before.digest === undefined) write(file, { ...before, digest })
    return before.questions
  }
  const trained = await idsAndTexts(study.trainedOn)
  const held = await idsAndTexts(dev.data)
  const questions: Questions = {}
  if (bfcl) questions.bfcl = await draw(study, 'bfcl', bfcl, { trained, held })
  if (acebench) questions.acebench = await draw(study, 'acebench', acebench, { trained, held })
  write(file, { under, digest, questions })
  return questions
}

const write = (file: string, prepared: Prepared) => writeWhole(file, `${JSON.stringify(prepared, null, 1)}\n`)

/** Every file that decides which questions are drawn, or what they say. */
async function sourcesOf({ evaluations, trainedOn }: Study): Promise<string[]> {
  const benchmarks = (['bfcl', 'acebench'] as const).map(async (what) => {
    const spec = evaluations[what]
    if (!spec) return []
    const { categories, file } = await layoutOf(what, spec.categories)
    return categories.flatMap((name) =>
      ['question', 'possible_answer'].map((kind) => join(spec.data, kind, file(name))),
    )
  })
  return [trainedOn, evaluations.dev.data, ...(await Promise.all(benchmarks)).flat()]
}

/** Spaces and case do not make another question. */
const plain = (text: string) => text.toLowerCase().replace(/\s+/g, ' ').trim()

async function idsAndTexts(path: string): Promise<Set<string>> {
  const { examples } = await loadDataset(path)
  return new Set(examples.flatMap((example) => [`id ${example.id}`, `text ${plain(questionOf(example))}`]))
}

interface Layout {
  categories: readonly string[]
  file(category: string): string
  /** The texts by which a question is told again. */
  texts(record: Record<string, unknown>): string[]
}

async function layoutOf(what: 'bfcl' | 'acebench', names: readonly string[]): Promise<Layout> {
  if (what === 'bfcl') {
    const { categories, categoryGroups } = await import('../../eval/bfcl/categories.js')
    return {
      categories: pickNames('study', names, categories, categoryGroups),
      file: (category) => `BFCL_v4_${category}.json`,
      texts: ({ question }) =>
        ((question as { role: string; content: string }[][] | undefined) ?? [])
          .flat()
          .filter(({ role }) => role === 'user')
          .map(({ content }) => content),
    }
  }
  const { categories, groups } = await import('../../eval/acebench/categories.js')
  return {
    categories: pickNames('study', names, categories, groups),
    file: (category) => `${category}.jsonl`,
    texts: ({ question }) => [String(question).replace(/^user: /, '')],
  }
}

async function draw(
  { folder }: Study,
  what: 'bfcl' | 'acebench',
  { data, categories, perCategory, seed }: BenchmarkSpec,
  { trained, held }: { trained: Set<string>; held: Set<string> },
): Promise<BenchmarkQuestions> {
  const layout = await layoutOf(what, categories)
  const target = join(folder, 'questions', what)
  const counts: Record<string, CategoryQuestions> = {}
  for (const category of layout.categories) {
    const file = layout.file(category)
    const questions = readLines(join(data, 'question', file))
    const among = (set: Set<string>) => (line: Line) =>
      set.has(`id ${line.id}`) || layout.texts(line.record).some((text) => set.has(`text ${plain(text)}`))
    const shared = questions.filter(among(trained)).length
    const chosen = shared > 0 ? [] : Random.of('study', what, category, seed).sample(questions, perCategory)
    counts[category] = {
      of: questions.length,
      trained: shared,
      inDev: chosen.filter(among(held)).length,
      asked: chosen.length,
    }
    if (chosen.length === 0) continue
    const ids = new Set(chosen.map(({ id }) => id))
    const copy = (kind: string, lines: readonly Line[]) =>
      writeWhole(join(target, kind, file), lines.map(({ source }) => `${source}\n`).join(''))
    copy(
      'question',
      questions.filter(({ id }) => ids.has(id)),
    )
    const answers = join(data, 'possible_answer', file)
    if (existsSync(answers))
      copy(
        'possible_answer',
        readLines(answers).filter(({ id }) => ids.has(id)),
      )
  }
  if (Object.values(counts).every(({ asked }) => asked === 0)) {
    fail('Error', 'ERR_DATA', `[study] expected a category of ${what} that shares no question with the training data`)
  }
  return { data: target, counts }
}

interface Line {
  id: string
  source: string
  record: Record<string, unknown>
}

function readLines(file: string): Line[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return fail('Error', 'ERR_IO', `[study] cannot read ${file}: ${(error as Error).message}`, error)
  }
  return text.split('\n').flatMap((source, i): Line[] => {
    if (source.trim() === '') return []
    try {
      const record = JSON.parse(source) as Record<string, unknown>
      return [{ id: String(record.id), source, record }]
    } catch (error) {
      const reason = (error as Error).message
      return fail('Error', 'ERR_DATA', `[study] ${basename(file)}:${i + 1}: expected a JSON object: ${reason}`, error)
    }
  })
}

/** A file that is there whole or not at all. */
export function writeWhole(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(`${file}.partial`, text)
    renameSync(`${file}.partial`, file)
  } catch (error) {
    fail('Error', 'ERR_IO', `[study] cannot write ${file}: ${(error as Error).message}`, error)
  }
}
