// What a study calls its models and selections, where they lie, and with which settings they are made.

import { join } from 'node:path'
import { configOf, type ModelRef, type Study } from './settings.js'

export const modelName = ({ training, seed }: ModelRef): string => (training === null ? 'base' : `${training}-s${seed}`)

/** What `--model` takes for a model of the study. */
export const modelPath = (study: Study, ref: ModelRef): string =>
  ref.training === null ? study.model : join(study.folder, modelName(ref))

export const evaluationFolder = (study: Study, ref: ModelRef): string =>
  join(study.folder, 'evaluations', modelName(ref))

export const selectionName = (key: string, seed: number): string => `${key}-s${seed}`

/** The records that a selection keeps; what it counted is beside it, in `.json`. */
export const selectionFile = (study: Study, key: string, seed: number): string =>
  join(study.folder, `${selectionName(key, seed)}.jsonl`)

/** What the study sets of a training's config, besides what its `set` says. */
export function ownSettings(study: Study, ref: ModelRef): string[] {
  const { from, on } = study.trainings[ref.training!]!
  const start = { training: from ?? null, seed: ref.seed }
  const data = on === undefined ? [] : [`dataset=${selectionFile(study, on, ref.seed!)}`]
  return [`model=${modelPath(study, start)}`, ...data, `seed=${ref.seed}`, `name=${modelName(ref)}`]
}

/** The settings of a training under a seed, as its command reads them. */
export const runSettings = (study: Study, ref: ModelRef): Record<string, unknown> =>
  configOf(study, study.trainings[ref.training!]!, ownSettings(study, ref))
