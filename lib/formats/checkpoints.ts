// A run's checkpoints as folders: which are whole, and which is the newest. `lib/train/checkpoint.ts` writes them.

import { type Dirent, existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../errors.js'

export const stateFile = 'trainer_state.json'
export const manifestFile = 'manifest.json'
const folderPattern = /^step-(\d{6,})$/

/** The newest checkpoint below `folder` whose files all have the sizes of its manifest; null where there is none. */
export async function latestCheckpoint(folder: string): Promise<string | null> {
  for (const name of checkpointNames(await entriesOf(folder))) {
    const path = join(folder, name)
    if ((await damageOf(path)) === null) return path
  }
  return null
}

/**
 * A run's folder stands for its newest whole checkpoint; any other path is left as it is.
 *
 * @throws Error `ERR_IO` for a run's folder without a whole checkpoint
 */
export async function newestOf(path: string): Promise<string> {
  const checkpoints = join(path, 'checkpoints')
  if (!existsSync(checkpoints)) return path
  const newest = await latestCheckpoint(checkpoints)
  return newest ?? fail('Error', 'ERR_IO', `[model] expected a whole checkpoint in ${checkpoints}, found none`)
}

/** Why a folder is not a whole checkpoint, or null. */
export async function damageOf(path: string): Promise<string | null> {
  let manifest: Record<string, number>
  try {
    manifest = JSON.parse(await readFile(join(path, manifestFile), 'utf8'))
  } catch {
    return `it has no readable ${manifestFile}`
  }
  for (const [name, bytes] of Object.entries(manifest)) {
    const size = await stat(join(path, name)).then(
      (info) => info.size,
      () => null,
    )
    if (size !== bytes) return size === null ? `${name} is missing` : `${name} has ${size} bytes instead of ${bytes}`
  }
  return Object.hasOwn(manifest, stateFile) ? null : `${stateFile} is missing`
}

export async function entriesOf(folder: string): Promise<Dirent[]> {
  return existsSync(folder) ? readdir(folder, { withFileTypes: true }) : []
}

/** Names of checkpoint folders, newest first. */
export function checkpointNames(entries: readonly Dirent[]): string[] {
  return entries
    .filter((entry) => entry.isDirectory() && folderPattern.test(entry.name))
    .map(({ name }) => name)
    .sort((a, b) => Number(folderPattern.exec(b)![1]) - Number(folderPattern.exec(a)![1]))
}
