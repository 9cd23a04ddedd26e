// In what a finished run, perhaps made elsewhere or before a config was changed, is unlike the study's.

import { basename, join } from 'node:path'
import { parseSFTRun, parseTrainRun } from '../../train/config.js'
import { readJson } from './made.js'
import { runSettings } from './models.js'
import type { ModelRef, Study } from './settings.js'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Settings that say where a run lies, how much memory it may take and how it is watched: its weights are the same without them. */
const notCompared = new Set(
  ['name', 'outputDir', 'shape', 'kvMemory', 'tokensPerMicrobatch', 'gradientCheckpointing', 'loggingSteps'].concat([
    'logCompletions',
    'saveSteps',
    'saveTotalLimit',
    'evalDataset',
    'evalOnStart',
    'evalSteps',
  ]),
)

/**
 * Settings in which a run is unlike the study's: "seed 42, not 0". Both configs are compared whole, defaults filled in. Of paths to what a
 * study makes itself (models, selected questions) the last part is: a run that was taken over says where they lay when it was made.
 */
export function differencesOf(study: Study, ref: ModelRef, run: string): string[] {
  const found = readJson<Record<string, unknown>>(join(run, 'config.json'))
  if (found === null) return ['its config.json is missing']
  const { command, on } = study.trainings[ref.training!]!
  const made = comparable(completed(command, found), on !== undefined)
  const wanted = comparable(completed(command, runSettings(study, ref)), on !== undefined)
  return unlike('', made, wanted)
}

/** With defaults; as it is where this version does not know it, for a run may be older. */
function completed(command: 'sft' | 'train', settings: Record<string, unknown>): Record<string, unknown> {
  try {
    return command === 'sft' ? parseSFTRun(settings) : parseTrainRun(settings)
  } catch {
    return settings
  }
}

function comparable(settings: Record<string, unknown>, selected: boolean): Json {
  const plain = JSON.parse(JSON.stringify(settings)) as Record<string, Json>
  const kept = Object.fromEntries(Object.entries(plain).filter(([key]) => !notCompared.has(key)))
  const { model, dataset } = kept
  if (typeof model === 'string') kept.model = basename(model)
  if (selected && isGroup(dataset) && typeof dataset.path === 'string') dataset.path = basename(dataset.path)
  return kept
}

/** The innermost values that differ: "dataset.limit 600, not nothing". */
function unlike(path: string, made: Json | undefined, wanted: Json | undefined): string[] {
  if (JSON.stringify(made) === JSON.stringify(wanted)) return []
  if (isGroup(made) && isGroup(wanted)) {
    const keys = [...new Set([...Object.keys(wanted), ...Object.keys(made)])]
    return keys.flatMap((key) => unlike(path === '' ? key : `${path}.${key}`, made[key], wanted[key]))
  }
  if (isList(made) && isList(wanted) && made.length === wanted.length && wanted.every(isGroup)) {
    return wanted.flatMap((one, i) => unlike(wanted.length === 1 ? path : `${path}[${i}]`, made[i], one))
  }
  return [`${path} ${shown(made)}, not ${shown(wanted)}`]
}

const isList = (value: Json | undefined): value is Json[] => Array.isArray(value)
const isGroup = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function shown(value: Json | undefined): string {
  if (value === undefined || value === null) return 'nothing'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
