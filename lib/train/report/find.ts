// What a report is about, found below the paths that were named: run folders and the files of evaluations, wherever they lie.

import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { fail } from '../../errors.js'
import { readResults } from '../../eval/results/read.js'
import type { ResultSet } from '../../eval/results/types.js'
import { isRun, type Run, readRun, runsIn } from './read.js'

export interface Inputs {
  runs: Run[]
  results: ResultSet[]
}

/** Folders of runs and evaluations that hold nothing to find. */
const closed = new Set(['checkpoints', 'result', 'score', 'result_all', 'score_all', 'pred', 'node_modules'])
/** Files of a run. */
const logs = new Set(['metrics.jsonl', 'completions.jsonl', 'eval.jsonl', 'questions.jsonl'])
const maxDepth = 6

/**
 * Runs and results at the paths or below them, each once, in the order of the paths and of names. A folder whose runs are the stages of a
 * quickstart is one run.
 *
 * @throws `ERR_IO` where a path holds neither
 */
export async function findInputs(paths: readonly string[]): Promise<Inputs> {
  const inputs: Inputs = { runs: [], results: [] }
  const seen = new Set<string>()
  for (const path of paths) {
    if (!existsSync(path))
      fail('Error', 'ERR_IO', `[report] expected a run folder or results of an evaluation, got ${path}`)
    const before = seen.size
    try {
      await search(resolve(path), { inputs, seen, depth: 0, insideRun: false })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
      fail('Error', 'ERR_IO', `[report] cannot read ${path}: ${(error as Error).message}`, error)
    }
    if (seen.size > before) continue
    if (foundBefore(path, inputs)) continue
    fail(
      'Error',
      'ERR_IO',
      `[report] expected metrics.jsonl, or results of callgrad eval, in ${path} or in folders below it, found none`,
    )
  }
  return inputs
}

/** Whether what a path holds was found before, through another path. */
const foundBefore = (path: string, { runs, results }: Inputs) => {
  const root = resolve(path)
  return [...runs, ...results].some((input) => input.path === root || input.path.startsWith(root + sep))
}

interface Search {
  inputs: Inputs
  /** Real paths that were taken. */
  seen: Set<string>
  depth: number
  insideRun: boolean
}

async function search(path: string, state: Search): Promise<void> {
  const { inputs, seen, depth } = state
  if (statSync(path).isFile()) return takeResults(path, state)
  const stages = runsIn(path)
  const run = isRun(path) || isStaged(path, stages)
  if (run && !state.insideRun && !seen.has(realpathSync(path))) {
    seen.add(realpathSync(path))
    inputs.runs.push(await readRun(path))
  }
  takeResults(path, state)
  if (depth === maxDepth) return
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const inner = join(path, entry.name)
    if (entry.isFile() && entry.name.endsWith('.jsonl') && !logs.has(entry.name)) takeResults(inner, state)
    if (!entry.isDirectory() || closed.has(entry.name) || entry.name.startsWith('.')) continue
    await search(inner, { ...state, depth: depth + 1, insideRun: state.insideRun || run })
  }
}

function takeResults(path: string, { inputs, seen }: Search): void {
  const id = `results ${realpathSync(path)}`
  if (seen.has(id)) return
  const found = readResults(path)
  if (found.length > 0) seen.add(id)
  inputs.results.push(...found)
}

/** A quickstart's folder: its own log of evaluations, or stages by their usual names. */
function isStaged(path: string, stages: readonly string[]): boolean {
  if (stages.length === 0) return false
  return existsSync(join(path, 'eval.jsonl')) || stages.every((name) => name === 'sft' || name === 'grpo')
}
