import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fail } from '../errors.js'
import { page } from './report/page.js'
import { readRun } from './report/read.js'

/**
 * Writes a self-contained report (one HTML file, charts inside, no network) of a run folder: `config.json`, `metrics.jsonl`,
 * `completions.jsonl`, `eval.jsonl`, `questions.jsonl`, whichever are there; folders below it that are runs become its stages.
 *
 * `target` defaults to `report.html` in the folder. Returns the path. Throws `ERR_IO` where the folder is no run or cannot be written.
 */
export async function writeReport(folder: string, target: string = join(folder, 'report.html')): Promise<string> {
  return save(target, page([await readRun(folder)]))
}

/** Writes one report that draws several runs over each other. */
export async function writeComparison(folders: readonly string[], target: string): Promise<string> {
  const runs = await Promise.all(folders.map(readRun))
  const twice = (name: string) => runs.filter((run) => run.name === name).length > 1
  const named = runs.map((run) => ({
    ...run,
    name: twice(run.name) ? join(basename(dirname(run.path)), run.name) : run.name,
  }))
  return save(target, page(named))
}

/** A reader of the old file never sees half of the new one. */
function save(target: string, text: string): string {
  const temporary = `${target}.tmp`
  try {
    const file = openSync(temporary, 'w')
    writeFileSync(file, text)
    fsyncSync(file)
    closeSync(file)
    renameSync(temporary, target)
    return target
  } catch (error) {
    return fail('Error', 'ERR_IO', `[report] cannot write ${target}: ${(error as Error).message}`, error)
  }
}
