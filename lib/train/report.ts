import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Problem } from '../data/problems.js'
import { fail } from '../errors.js'
import { dataSetsOf } from './report/datasets.js'
import { findInputs } from './report/find.js'
import { distinctNames, settingName } from './report/names.js'
import { page } from './report/page.js'
import { type Run, readRun } from './report/read.js'
import { groupSettings, sameSetting, seedOf } from './report/settings.js'
import { addTexts } from './report/texts.js'

/**
 * Writes a self-contained report (one HTML file, charts inside, no network) of a run folder: `config.json`, `metrics.jsonl`,
 * `completions.jsonl`, `eval.jsonl`, `questions.jsonl`, whichever are there; folders below it that are runs become its stages.
 *
 * `target` defaults to `report.html` in the folder. Returns the path. Throws `ERR_IO` where the folder is no run or cannot be written.
 */
export async function writeReport(folder: string, target: string = join(folder, 'report.html')): Promise<string> {
  const run = await readRun(folder)
  return save(target, page({ settings: [{ name: run.name, members: [run] }], dataSets: [] }))
}

/** What a report is about: counts, and what could not be read. */
export interface ReportSummary {
  report: string
  runs: string[]
  /** One entry a model and benchmark. */
  evaluations: { name: string; data: string; questions: number; right: number }[]
  problems: Problem[]
}

export interface ComparisonOptions {
  /** Where the page goes; default `report.html` in the run where there is but one, else `comparison.html` in the working folder. */
  target?: string | undefined
  /** Data sets with the texts of the questions, which most evaluations keep with failures only. */
  data?: readonly string[] | undefined
}

/**
 * Writes one report of everything at the paths or below them: run folders, and what `callgrad eval` wrote (its answer files, the folders of
 * the benchmarks). Runs are drawn over each other, those that differ by the seed alone as one setting with an interval; evaluations of the
 * same questions become tables and a comparison question by question. One run alone gets the page of {@link writeReport}.
 *
 * Throws `ERR_IO` where a path holds nothing to report or the page cannot be written, `ERR_DATA` where `data` has none of the questions.
 */
export async function writeComparison(
  paths: readonly string[],
  { target, data = [] }: ComparisonOptions = {},
): Promise<ReportSummary> {
  const inputs = await findInputs(paths)
  await addTexts(inputs.results, data)
  const alone = inputs.runs.length === 1 && inputs.results.length === 0
  const runs = alone ? inputs.runs : inputs.runs.flatMap(separateStages)
  const names = distinctNames(runs.map(({ path }) => path))
  const named = runs.map((run, i) => ({ ...run, name: alone ? run.name : names[i]! }))
  const settings = groupSettings(named, sameSetting, nameOf)
  const dataSets = dataSetsOf({ runs: named, results: inputs.results })
  const file = target ?? (alone ? join(inputs.runs[0]!.path, 'report.html') : 'comparison.html')
  return {
    report: save(file, page({ settings, dataSets })),
    runs: named.map(({ name }) => name),
    evaluations: dataSets.flatMap(({ title, models }) =>
      models.map(({ name, set: { questions } }) => ({
        name,
        data: title,
        questions: questions.length,
        right: questions.filter((question) => question.right).length,
      })),
    ),
    problems: inputs.results.flatMap(({ problems }) => problems),
  }
}

/** A quickstart's stages as runs of their own; what was evaluated at its end belongs to the last. */
function separateStages(run: Run): Run[] {
  if (run.stages.length === 0 || run.metrics.length > 0) return [run]
  return run.stages.map((stage, i) =>
    i === run.stages.length - 1 && stage.evaluations.length === 0 ? { ...stage, evaluations: run.evaluations } : stage,
  )
}

const nameOf = (members: readonly Run[]) =>
  members.length === 1
    ? members[0]!.name
    : settingName(members.map((run) => ({ name: run.name, seed: seedOf(run) as number })))

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
