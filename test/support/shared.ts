import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root: compiled tests live in dist/test/support. */
export const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

/** Path of shared material (golden vectors, a real model) or null, with a printed line, where it is absent. */
export function sharedPath(relative: string): string | null {
  const path = join(process.env.CALLGRAD_SHARED ?? join(repositoryRoot, '..', 'shared'), relative)
  if (existsSync(path)) return path
  console.log(`skipped: ${relative} is not here (set CALLGRAD_SHARED to the folder that holds it)`)
  return null
}
