import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fail } from '../errors.js'

/** A file that a command reads or writes, and what its option or role is called. */
export interface NamedFile {
  name: string
  path: string
}

/**
 * Refuses outputs that are one file under two names, or a file that is read: the one would replace the other. Links are followed.
 *
 * @throws `ERR_CONFIG` naming both, before anything is written
 */
export function checkOutputs(outputs: readonly NamedFile[], inputs: readonly string[]): void {
  const taken = new Map(inputs.map((path) => [realPath(path), 'an input']))
  for (const { name, path } of outputs) {
    const real = realPath(path)
    const other = taken.get(real)
    if (other !== undefined)
      fail('TypeError', 'ERR_CONFIG', `[data] ${name}: expected a file of its own, got ${path}, which is ${other} too`)
    taken.set(real, name)
  }
}

/** The path without links, also of a file that is not there yet. */
function realPath(path: string): string {
  const whole = resolve(path)
  try {
    return realpathSync(whole)
  } catch {
    return dirname(whole) === whole ? whole : join(realPath(dirname(whole)), basename(whole))
  }
}
