// What a study has measured so far: verdicts by question, of every model and seed.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Estimate, meanEstimate, wilson } from '../../../eval/intervals.js'
import { readResults } from '../../../eval/results/read.js'
import { differencesOf } from '../differences.js'
import { metricsOf, readJson } from '../made.js'
import { evaluationFolder, modelName, modelPath, selectionName } from '../models.js'
import type { ModelRef, Study } from '../settings.js'
import { type EvaluationName, evaluationNames, type KeptResult, type Stage, stateIn } from '../stages.js'
import { untrained } from './trainings.js'

/** Whether each question was answered rightly, by category and id. */
export type Verdicts = ReadonlyMap<string, boolean>

/** What `callgrad eval --json` said, as far as tables show it. */
export interface DevRates {
  exactMatch: Estimate
  formatRate: Estimate
  nameRate: Estimate
  meanLength: Estimate
  clippedRate: Estimate
}

export interface SeedResults {
  seed: number | null
  verdicts: Partial<Record<EvaluationName, Verdicts>>
  rates: DevRates | null
  /** Minutes of its stages by what they are: "training", "dev" … */
  minutes: Record<string, number>
  machines: string[]
  /** Settings in which a run that was made elsewhere differs from the study's: "seed 42, not 0". */
  differs: string[]
  metrics: Record<string, number>[]
}

export interface ModelResults {
  training: string
  label: string
  seeds: SeedResults[]
}

/** Reads what is done; what is missing is absent. */
export async function gather(study: Study, stages: readonly Stage[]): Promise<ModelResults[]> {
  const done = new Set<string>()
  const minutes = new Map<string, number>()
  for (const stage of stages) {
    const state = await stateIn(stages, stage)
    if (state.share === 1) done.add(stage.name)
    minutes.set(stage.name, state.minutes)
  }
  const refs = study.rounds.flat()
  const names = [...new Set(refs.map(({ training }) => training))]
  const machines = machinesOf(study)
  return names.map((training) => ({
    training: training ?? 'base',
    label: training === null ? untrained : study.trainings[training]!.label,
    seeds: [...new Map(refs.filter((ref) => ref.training === training).map((ref) => [ref.seed, ref])).values()]
      .sort((a, b) => (a.seed ?? 0) - (b.seed ?? 0))
      .map((ref) => seedResults(study, ref, { done, minutes, machines })),
  }))
}

/** What selecting questions took. */
export interface SelectionCost {
  label: string
  seed: number
  minutes: number
  machine: string | null
}

/** Selections that are made, of each seed. */
export async function selectionCosts(study: Study, stages: readonly Stage[]): Promise<SelectionCost[]> {
  const costs: SelectionCost[] = []
  for (const key of Object.keys(study.selections)) {
    for (const seed of study.seeds) {
      const stage = stages.find(({ name }) => name === selectionName(key, seed))
      const state = await stage?.state()
      if (!stage?.result || state?.share !== 1) continue
      const machine = readJson<KeptResult>(stage.result)?.study?.machine ?? null
      costs.push({ label: `Questions selected: ${key}`, seed, minutes: state.minutes, machine })
    }
  }
  return costs
}

interface Known {
  done: ReadonlySet<string>
  minutes: ReadonlyMap<string, number>
  machines: ReadonlyMap<string, Set<string>>
}

function seedResults(study: Study, ref: ModelRef, { done, minutes, machines }: Known): SeedResults {
  const name = modelName(ref)
  const folder = evaluationFolder(study, ref)
  const made = evaluationNames.filter((what) => done.has(`${name} ${what}`))
  const verdicts = Object.fromEntries(made.map((what) => [what, verdictsOf(folder, what)]))
  const stagesDone = [...(done.has(name) ? [name] : []), ...made.map((what) => `${name} ${what}`)]
  const run = modelPath(study, ref)
  return {
    seed: ref.seed,
    verdicts,
    rates: made.includes('dev') ? readJson<DevRates>(join(folder, 'dev.json')) : null,
    minutes: Object.fromEntries(
      stagesDone.map((stage) => [stage.slice(name.length).trim() || 'training', minutes.get(stage) ?? 0]),
    ),
    machines: [...new Set(stagesDone.flatMap((stage) => [...(machines.get(stage) ?? [])]))],
    differs: ref.training !== null && done.has(name) ? differencesOf(study, ref, run) : [],
    metrics: ref.training !== null && done.has(name) ? metricsOf(run) : [],
  }
}

function verdictsOf(folder: string, what: EvaluationName): Verdicts {
  const path = join(folder, what === 'dev' ? 'dev.jsonl' : what)
  const questions = readResults(path).flatMap((set) => set.questions)
  return new Map(questions.map(({ category, id, right }) => [`${category} ${id}`, right]))
}

function machinesOf(study: Study): Map<string, Set<string>> {
  const file = join(study.folder, 'sessions.jsonl')
  const found = new Map<string, Set<string>>()
  if (!existsSync(file)) return found
  for (const { stage, machine } of readLog(file)) found.set(stage, (found.get(stage) ?? new Set()).add(machine))
  return found
}

function readLog(file: string): { stage: string; machine: string }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as { stage: string; machine: string }]
      } catch {
        return []
      }
    })
}

/** Seeds of a model for which an evaluation is there. */
export const measuredSeeds = ({ seeds }: ModelResults, what: EvaluationName): SeedResults[] =>
  seeds.filter(({ verdicts }) => verdicts[what] !== undefined)

/**
 * Share of right answers over all seeds: of one with Wilson's interval, of several with Student's over questions, each with its mean over the
 * seeds (the seeds' answers to one question are no independent samples). Null where nothing was measured.
 */
export function pooled(model: ModelResults, what: EvaluationName): Estimate | null {
  const sets = measuredSeeds(model, what).map(({ verdicts }) => verdicts[what]!)
  if (sets.length === 0) return null
  const means = meansByQuestion(sets)
  if (sets.length === 1) return wilson(means.filter((right) => right === 1).length, means.length)
  const { value, low, high } = meanEstimate(means)
  return { value, low: Math.max(0, low), high: Math.min(1, high) }
}

/** For each question that all sets have, the share of the sets that have it right. */
function meansByQuestion(sets: readonly Verdicts[]): number[] {
  const [first, ...others] = sets
  return [...first!.keys()]
    .filter((key) => others.every((set) => set.has(key)))
    .map((key) => sets.filter((set) => set.get(key)).length / sets.length)
}

/**
 * How much more often `better` is right than `worse`: for each question the mean over the seeds that both have of the difference of the
 * verdicts, then mean and Student's interval over questions. Null without a common seed. A model without seeds stands beside every one.
 */
export function pairedDifference(
  better: ModelResults,
  worse: ModelResults,
  what: EvaluationName,
): { estimate: Estimate; seeds: number } | null {
  const [left, right] = [measuredSeeds(better, what), measuredSeeds(worse, what)]
  const pairs = left.flatMap((one) =>
    right
      .filter((other) => one.seed === other.seed || one.seed === null || other.seed === null)
      .map((other) => [one.verdicts[what]!, other.verdicts[what]!] as const),
  )
  const [first] = pairs
  if (!first) return null
  const questions = [...first[0].keys()].filter((key) => pairs.every(([a, b]) => a.has(key) && b.has(key)))
  const differences = questions.map(
    (key) => pairs.reduce((sum, [a, b]) => sum + Number(a.get(key)) - Number(b.get(key)), 0) / pairs.length,
  )
  return { estimate: meanEstimate(differences), seeds: pairs.length }
}

export type Verdict = 'supports' | 'contradicts' | 'cannot tell' | 'not run yet'

/** The stated rule: the 95 % interval of the paired difference lies above 0, below 0, or holds 0. */
export function verdictOf(difference: { estimate: Estimate } | null): Verdict {
  if (difference === null) return 'not run yet'
  if (difference.estimate.low > 0) return 'supports'
  return difference.estimate.high < 0 ? 'contradicts' : 'cannot tell'
}
