// Result sets on the same questions, brought together: they are what can be compared.

import { basename, dirname, sep } from 'node:path'
import type { Benchmark, ResultSet } from '../../eval/results/types.js'
import type { Inputs } from './find.js'
import { distinctNames, settingName, withoutSeed } from './names.js'
import type { Run } from './read.js'
import { groupSettings, type Setting, sameSetting, seedOf } from './settings.js'

/** One model's results under the name that the page has for it. */
export interface NamedResults {
  name: string
  set: ResultSet
  /** The seed that its run or its name tells; undefined where neither does. */
  seed?: number
  run?: Run
}

/** Models that were asked the same questions. */
export interface DataSet {
  /** Unique in a page. */
  id: string
  title: string
  benchmark: Benchmark
  models: NamedResults[]
  settings: Setting<NamedResults>[]
}

/** Data sets in the order of benchmarks' first appearance. */
export function dataSetsOf({ runs, results }: Inputs): DataSet[] {
  const groups: ResultSet[][] = []
  for (const set of results) {
    const group = groups.find(([first]) => first && sameQuestions(first, set))
    if (group) group.push(set)
    else groups.push([set])
  }
  return groups.map((sets, i) => {
    const names = distinctNames(sets.map((set) => pathOf(set, sets)))
    const models = sets.map((set, k) => named(names[k]!, set, runs))
    return {
      id: `d${i}`,
      title: titleOf(sets[0]!, i, groups),
      benchmark: sets[0]!.benchmark,
      models,
      settings: groupSettings(models, sameModel, nameOf),
    }
  })
}

const titles: Record<Benchmark, string> = {
  bfcl: 'BFCL',
  acebench: 'ACEBench',
  'api-bank': 'API-Bank',
  questions: 'Questions',
}

/** Questions of one's own go by the name that all their files have, else by a number. */
function titleOf({ benchmark, version }: ResultSet, i: number, groups: readonly ResultSet[][]): string {
  if (benchmark !== 'questions') return version ? `${titles[benchmark]} ${version}` : titles[benchmark]
  const names = new Set(groups[i]!.map(({ path }) => basename(path, '.jsonl')))
  if (names.size === 1 && groups[i]!.length > 1) return `${titles.questions} (${[...names][0]})`
  const own = groups.filter(([first]) => first?.benchmark === 'questions')
  return own.length > 1 ? `${titles.questions}, set ${own.indexOf(groups[i]!) + 1}` : titles.questions
}

/** Benchmarks by name and version; other questions where half of the ids of the smaller set are in the larger. */
function sameQuestions(a: ResultSet, b: ResultSet): boolean {
  if (a.benchmark !== b.benchmark || a.version !== b.version) return false
  if (a.benchmark !== 'questions') return true
  const ids = new Set(a.questions.map(({ id }) => id))
  const shared = b.questions.filter(({ id }) => ids.has(id)).length
  return 2 * shared >= Math.min(a.questions.length, b.questions.length)
}

/** A folder that holds several models' results says whose only together with the model's name. */
const pathOf = (set: ResultSet, sets: readonly ResultSet[]) =>
  sets.some((other) => other !== set && other.path === set.path) ? `${set.path}${sep}${set.model}` : set.path

function named(name: string, set: ResultSet, runs: readonly Run[]): NamedResults {
  const run = runOf(name, set, runs)
  const seed = (run && seedOf(run)) ?? seedIn(name)
  return { name, set, ...(run && { run }), ...(seed !== undefined && { seed }) }
}

/** The run whose folder the results lie in, or which is the only one in the folder that they lie in, or has their name. */
function runOf(name: string, { path }: ResultSet, runs: readonly Run[]): Run | undefined {
  const inside = (inner: string, outer: string) => inner === outer || inner.startsWith(outer + sep)
  const own = runs.find((run) => inside(path, run.path))
  if (own) return own
  const beside = runs.filter((run) => inside(run.path, dirname(path)))
  if (beside.length === 1 && runs.length > 1) return beside[0]
  const namesakes = runs.filter((run) => run.name === name)
  return namesakes.length === 1 ? namesakes[0] : undefined
}

/** A seed that a name ends in, called one: `rl-s1`, `rl-seed1`, `rl/seed-1`. */
function seedIn(name: string): number | undefined {
  const found = /(?:^|[-_./])(?:s|seed[-_]?)(\d+)$/i.exec(name)
  return found ? Number(found[1]) : undefined
}

/** Whether two models differ by the seed of their training alone. */
function sameModel(a: NamedResults, b: NamedResults): boolean {
  if (a.seed === undefined || b.seed === undefined || a.seed === b.seed) return false
  if (withoutSeed(a.name, a.seed) !== withoutSeed(b.name, b.seed)) return false
  return a.run && b.run ? sameSetting(a.run, b.run) : !a.run && !b.run
}

const nameOf = (members: readonly NamedResults[]) =>
  members.length === 1
    ? members[0]!.name
    : settingName(members.map(({ name, seed }) => ({ name, seed: seed as number })))
