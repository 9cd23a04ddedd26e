// What a study file says: models that are trained, on what, and how they are measured. docs/results.md tells of one.

import { dirname, join } from 'node:path'
import { z } from 'zod'
import { fail } from '../../errors.js'
import { parseWith } from '../../train/config/check.js'
import { parseSFTRun, parseTrainRun } from '../../train/config.js'
import { applySettings, readConfigFile } from '../config-file.js'

const text = z.string().min(1)
const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]*$/)
  .meta({ expected: 'small letters, digits and "-"' })
const minutes = z.number().gt(0)
const set = z.array(z.string().regex(/^[^=]+=/)).default([])

const trainingSchema = z.strictObject({
  label: text,
  command: z.enum(['sft', 'train']),
  /** Beside the study file. */
  config: text,
  /** The training that it starts from, of the same seed; absent: the study's model. */
  from: name.optional(),
  /** The selection that it trains on, of the same seed; absent: the data that the config names. */
  on: name.optional(),
  set,
  /** In what it is unlike the training of the paper that it stands beside; the results page prints it. */
  note: text.optional(),
  /** Expected, until one of the kind was run. */
  minutes,
})

const selectionSchema = z.strictObject({ config: text, from: name, set, minutes })

const benchmarkShape = {
  data: text,
  maxTokens: z.int().min(1),
  /** Questions of each category, drawn by the seed. */
  perCategory: z.int().min(1),
  seed: z.int().default(0),
  handler: z.enum(['tool-n1', 'tool-n1-no-reason', 'prompt', 'qwen-fc']).default('tool-n1'),
  categories: z.array(text).min(1),
  minutes,
}

/** What is claimed elsewhere of two models, to be looked for in this study. */
const claimSchema = z.strictObject({
  claim: text,
  better: name,
  worse: name,
  /** The figures behind it. */
  paper: text,
})

/** A table of a paper, whose rows stand beside those of this study. */
const tableSchema = z.strictObject({
  title: text,
  columns: z.array(text).min(1),
  rows: z.array(z.strictObject({ paper: text, scores: z.array(z.number()), training: name.optional() })).min(1),
})

const schema = z.strictObject({
  name,
  model: text,
  seeds: z.array(z.int().min(0)).min(1),
  /** Categories of benchmarks that share a question with these records are not asked. */
  trainedOn: text,
  selections: z.record(name, selectionSchema).default({}),
  trainings: z.record(name, trainingSchema),
  evaluations: z.strictObject({
    dev: z.strictObject({
      data: text,
      promptFormat: z.enum(['tool-n1', 'tool-n1-no-reason', 'native']).default('tool-n1'),
      maxTokens: z.int().min(1),
      minutes,
    }),
    bfcl: z.strictObject(benchmarkShape).optional(),
    acebench: z.strictObject(benchmarkShape).optional(),
  }),
  /** Models as `NAME` or `NAME/SEED`, the most telling first. Within a round all are trained and asked dev before any benchmark. */
  rounds: z.array(z.array(text).min(1)).min(1),
  claims: z.array(claimSchema).default([]),
  tables: z.array(tableSchema).default([]),
})

export type StudyFile = z.output<typeof schema>
export type ClaimSpec = z.output<typeof claimSchema>
export type TableSpec = z.output<typeof tableSchema>
export type TrainingSpec = z.output<typeof trainingSchema>
export type BenchmarkSpec = NonNullable<StudyFile['evaluations']['bfcl']>

/** A model of a study: the one that it starts from (no training), or a training under one seed. */
export interface ModelRef {
  training: string | null
  seed: number | null
}

export interface Study extends Omit<StudyFile, 'rounds'> {
  /** The file. */
  path: string
  /** Everything that the study makes lies here. */
  folder: string
  rounds: ModelRef[][]
}

/**
 * Reads and checks a study file, the configs that it names included, so that nothing is found wrong hours later.
 *
 * @throws `ERR_CONFIG` saying what is wrong and where
 */
export function readStudy(path: string, overrides: readonly string[] = []): Study {
  const file = parseWith(schema, applySettings(readConfigFile(path), overrides), `study ${path}`)
  const study: Study = { ...file, path, folder: join('runs', file.name), rounds: [] }
  const bad = (what: string) => fail('TypeError', 'ERR_CONFIG', `[study] ${path}: ${what}`)
  const known = (where: string, wanted: string, names: readonly string[]) => {
    if (!names.includes(wanted)) bad(`${where}: expected one of ${names.join(', ')}, got "${wanted}"`)
  }
  if (new Set(file.seeds).size < file.seeds.length) bad(`seeds: expected different ones, got ${file.seeds.join(', ')}`)
  const trainings = Object.keys(file.trainings)
  if (trainings.includes('base')) bad('trainings: expected another name than "base", which is the study\'s model')
  for (const [key, training] of Object.entries(file.trainings)) {
    if (training.from !== undefined) known(`trainings.${key}.from`, training.from, trainings)
    if (training.on !== undefined) known(`trainings.${key}.on`, training.on, Object.keys(file.selections))
    if (startsFromItself(file, key)) bad(`trainings.${key}.from: expected no circle`)
    stepsOf(study, key)
  }
  for (const [key, selection] of Object.entries(file.selections)) {
    known(`selections.${key}.from`, selection.from, trainings)
    parseTrainRun(configOf(study, selection, ['model=x']))
  }
  for (const [i, { better, worse }] of file.claims.entries()) {
    for (const one of [better, worse]) known(`claims[${i}]`, one, ['base', ...trainings])
  }
  for (const [i, { rows, columns }] of file.tables.entries()) {
    for (const { paper, training, scores } of rows) {
      if (training !== undefined) known(`tables[${i}]`, training, ['base', ...trainings])
      if (scores.length === columns.length) continue
      bad(`tables[${i}]: ${paper}: expected ${columns.length} scores, as there are columns, got ${scores.length}`)
    }
  }
  study.rounds = file.rounds.map((round) => round.flatMap((entry) => refsOf(entry, file, known)))
  return study
}

function refsOf(entry: string, file: StudyFile, known: (where: string, wanted: string, names: string[]) => void) {
  const [training = '', seed] = entry.split('/')
  known('rounds', training, ['base', ...Object.keys(file.trainings)])
  if (seed !== undefined) known(`rounds: ${entry}`, seed, file.seeds.map(String))
  if (training === 'base') return [{ training: null, seed: null }]
  return (seed === undefined ? file.seeds : [Number(seed)]).map((one): ModelRef => ({ training, seed: one }))
}

function startsFromItself({ trainings, selections }: StudyFile, key: string): boolean {
  const seen = new Set<string>()
  const visit = (at: string | undefined): boolean => {
    if (at === undefined) return false
    if (seen.has(at)) return true
    seen.add(at)
    const { from, on } = trainings[at] ?? {}
    const drawnBy = on === undefined ? undefined : selections[on]?.from
    return visit(from) || (drawnBy !== from && visit(drawnBy))
  }
  return visit(key)
}

/** The settings of a config beside the study file, with `--set` texts on them. */
export function configOf(
  { path }: Pick<Study, 'path'>,
  { config, set: own }: { config: string; set: readonly string[] },
  more: readonly string[] = [],
): Record<string, unknown> {
  return applySettings(readConfigFile(configPath({ path }, config)), [...own, ...more])
}

export const configPath = ({ path }: Pick<Study, 'path'>, config: string): string => join(dirname(path), config)

/** Steps at whose end a training is done. */
export function stepsOf(study: Pick<Study, 'path' | 'trainings'>, key: string): number {
  const training = study.trainings[key]!
  const parse = training.command === 'sft' ? parseSFTRun : parseTrainRun
  const more = training.on === undefined ? [] : ['dataset.path=x']
  const { maxSteps } = parse(configOf(study, training, ['model=x', ...more]))
  if (maxSteps > 0) return maxSteps
  return fail(
    'TypeError',
    'ERR_CONFIG',
    `[study] ${study.path}: trainings.${key}: expected maxSteps in ${training.config}, got ${maxSteps}: a study counts steps`,
  )
}
