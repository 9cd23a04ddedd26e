import { existsSync } from 'node:fs'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../errors.js'
import { checkpointNames, damageOf, entriesOf, manifestFile, stateFile } from '../formats/checkpoints.js'
import { writeFileSynced, writeFolderAtomically } from '../formats/io.js'
import { SafetensorsFile } from '../formats/safetensors.js'
import { type SafetensorsOutput, writeSafetensors } from '../formats/safetensors-write.js'
import { decodeGeneration, encodeGeneration } from './checkpoint/buffer.js'
import { parseState, type TrainerState } from './checkpoint/state.js'
import type { Generation } from './generation.js'

export { latestCheckpoint } from '../formats/checkpoints.js'

// A checkpoint is a Hugging Face folder (fp32 weights, so that nothing is rounded) plus
//   optimizer.safetensors   Adam's moments
//   rollouts.safetensors    the rollout buffer, while updates of it are still to come
//   trainer_state.json      where the run stands
//   manifest.json           every file and its size
// It appears by one rename after everything in it is on the disk, so a folder named step-NNNNNN is always whole.

const optimizerFile = 'optimizer.safetensors'
const rolloutsFile = 'rollouts.safetensors'
/** What `writeFolderAtomically` (also around the model's files) leaves behind when the process is killed inside it. */
const remainsPattern = /^\.{1,2}step-\d{6,}\.(?:writing|replaced)-/

export interface CheckpointContents {
  state: TrainerState
  /** Writes the model's files into the folder, which is empty. */
  saveModel(folder: string): Promise<void>
  optimizer: readonly SafetensorsOutput[]
  generation: Generation | null
}

/** A checkpoint that was opened to resume from. */
export interface Checkpoint {
  path: string
  state: TrainerState
  /** One of the optimizer's tensors. */
  optimizer(name: string): Promise<Float32Array>
  generation(): Promise<Generation | null>
  close(): Promise<void>
}

/**
 * Writes `<folder>/step-NNNNNN` and returns its path. Either it is there whole and on the disk, or (disk full, no permission)
 * everything is as before and the promise rejects with ERR_IO.
 */
export async function saveCheckpoint(folder: string, contents: CheckpointContents): Promise<string> {
  const path = join(folder, `step-${String(contents.state.step).padStart(6, '0')}`)
  await writeFolderAtomically(
    path,
    async (temporary) => {
      await contents.saveModel(temporary)
      await writeSafetensors(join(temporary, optimizerFile), contents.optimizer)
      if (contents.generation)
        await writeSafetensors(join(temporary, rolloutsFile), encodeGeneration(contents.generation))
      await writeFileSynced(join(temporary, stateFile), JSON.stringify(contents.state, null, 2))
      await writeFileSynced(join(temporary, manifestFile), JSON.stringify(await sizesIn(temporary), null, 2))
    },
    '[checkpoint]',
  )
  return path
}

/** Deletes the oldest checkpoints beyond `keep` (null keeps all), and what a killed process left half-written. */
export async function pruneCheckpoints(folder: string, keep: number | null): Promise<void> {
  const entries = await entriesOf(folder)
  const remove = (name: string) => rm(join(folder, name), { recursive: true, force: true })
  for (const { name } of entries) if (remainsPattern.test(name)) await remove(name)
  if (keep === null) return
  for (const name of checkpointNames(entries).slice(keep)) await remove(name)
}

/** Opens a checkpoint. Rejects with ERR_FORMAT where it is not one or a file of it is damaged. */
export async function openCheckpointState(path: string): Promise<Checkpoint> {
  const damage = await damageOf(path)
  if (damage !== null) fail('Error', 'ERR_FORMAT', `[resume] ${path} cannot be resumed from: ${damage}`)
  const state = parseState(await readFile(join(path, stateFile), 'utf8'), join(path, stateFile))
  const optimizer = await SafetensorsFile.open(join(path, optimizerFile))
  return {
    path,
    state,
    optimizer: (name) => optimizer.readFloat32(name),
    async generation() {
      const rollouts = join(path, rolloutsFile)
      if (!existsSync(rollouts)) return null
      const file = await SafetensorsFile.open(rollouts)
      try {
        return await decodeGeneration(file)
      } finally {
        await file.close()
      }
    },
    close: () => optimizer.close(),
  }
}

async function sizesIn(folder: string): Promise<Record<string, number>> {
  const names = (await readdir(folder)).sort()
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, (await stat(join(folder, name))).size])))
}
