// What a study has made so far, told from the files that the stages leave: no note of its own says that a stage is done.

import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { latestCheckpoint } from '../../formats/checkpoints.js'

/** How far a training is: the step of its newest whole checkpoint. */
export async function stepReached(run: string): Promise<number> {
  const checkpoint = await latestCheckpoint(join(run, 'checkpoints'))
  if (checkpoint === null) return 0
  const { step } = readJson<{ step?: number }>(join(checkpoint, 'trainer_state.json')) ?? {}
  return step ?? 0
}

/** Seconds that the steps of a run took, up to the one of its checkpoint: a resume cuts later ones off and makes them again. */
export function secondsOf(run: string, reached: number): number {
  const kept = metricsOf(run).filter(({ step }) => step !== undefined && step <= reached)
  return kept.reduce((sum, line) => sum + (line.step_time ?? 0), 0)
}

/** The lines of a run's metrics.jsonl; a last line that a kill cut off is left out. */
export function metricsOf(run: string): Record<string, number>[] {
  const file = join(run, 'metrics.jsonl')
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as Record<string, number>]
      } catch {
        return []
      }
    })
}

/** A JSON file; null where it is missing or no JSON. */
export function readJson<T>(file: string): T | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T
  } catch {
    return null
  }
}

const slices = 256
const sliceBytes = 4096

/**
 * Tells the weights of a model apart from others: a digest of a file's size and of 256 slices of it, for reading all of every model each
 * time would take longer than some stages. Null for a model that is not here (a run that has not begun, a hub id).
 */
export async function weightsDigest(model: string): Promise<string | null> {
  const run = join(model, 'checkpoints')
  const folder = existsSync(run) ? await latestCheckpoint(run) : model
  if (folder === null) return null
  const inside = join(folder, 'model.safetensors')
  const file = existsSync(inside) ? inside : folder
  if (!existsSync(file)) return null
  const handle = openSync(file, 'r')
  try {
    const { size } = fstatSync(handle)
    const hash = createHash('sha256').update(String(size))
    const buffer = Buffer.alloc(sliceBytes)
    const last = Math.max(0, size - sliceBytes)
    for (let i = 0; i < slices; i++) {
      const read = readSync(handle, buffer, 0, sliceBytes, Math.floor((last * i) / (slices - 1)))
      hash.update(buffer.subarray(0, read))
    }
    return hash.digest('base64url').slice(0, 16)
  } catch {
    return null // a folder without weights in one file
  } finally {
    closeSync(handle)
  }
}

/** Tells what files say apart: a digest of all of them, with a mark for each that is no file here (a hub id, a folder). */
export function filesDigest(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) {
    const here = existsSync(file) && statSync(file).isFile()
    hash.update(here ? createHash('sha256').update(readFileSync(file)).digest('hex') : 'none').update('\n')
  }
  return hash.digest('base64url').slice(0, 16)
}

/** Lines of a file that are not empty; -1 where there is no file. */
export function lineCount(file: string): number {
  if (!existsSync(file)) return -1
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '').length
}
