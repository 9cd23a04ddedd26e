// One process at a time works on a study, also where an earlier one was killed and what it had started runs on.

import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fail } from '../../errors.js'

/** Environment variable by which a stage's process is told to be one of a study. */
const mark = 'CALLGRAD_STUDY'

/** The environment of a stage's process. */
export const markedEnvironment = (folder: string): NodeJS.ProcessEnv => ({ ...process.env, [mark]: resolve(folder) })

/**
 * Holds the study's folder for this process; the function that is returned lets it go. A process that was killed holds nothing.
 *
 * @throws `ERR_BUSY` where another process holds it
 */
export function holdFolder(folder: string): () => void {
  const file = join(folder, 'lock')
  const own = join(folder, `lock.${process.pid}`)
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(own, `${process.pid} ${startOf(process.pid)}`)
    for (;;) {
      try {
        linkSync(own, file) // appears with its content, or fails where there is one
        return () => rmSync(file, { force: true })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const [pid, start] = readText(file).split(' ')
      if (start && startOf(Number(pid)) === start) {
        fail('Error', 'ERR_BUSY', `[study] expected no other process at ${folder}, process ${pid} is at it`)
      }
      rmSync(file, { force: true })
    }
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUSY') throw error
    return fail('Error', 'ERR_IO', `[study] cannot hold ${folder}: ${(error as Error).message}`, error)
  } finally {
    rmSync(own, { force: true })
  }
}

/** Processes of stages that the study's killed process left behind. */
export function orphansOf(folder: string): number[] {
  const wanted = `${mark}=${resolve(folder)}`
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => readText(`/proc/${pid}/environ`).split('\0').includes(wanted) && stateOf(Number(pid)) !== 'Z')
    .map(Number)
}

/** A process's start in clock ticks since the machine's, so that a number that was given again is not taken for it; '' for none. */
const startOf = (pid: number): string => statOf(pid)[19] ?? ''
const stateOf = (pid: number): string => statOf(pid)[0] ?? ''

/** Fields of /proc/PID/stat behind the name, which may hold anything. */
function statOf(pid: number): string[] {
  const text = readText(`/proc/${pid}/stat`)
  return text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** '' for a file that cannot be read: a process that has ended, or another user's. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
