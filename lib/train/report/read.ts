// What a run folder holds, read for a report. Anything may be missing, and the last line of a log may be cut where a run was killed.

import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fail } from '../../errors.js'

/** One line of metrics.jsonl. */
export type MetricLine = Record<string, number | string | null | undefined> & { step: number }

/** One line of completions.jsonl. */
export interface CompletionLine {
  step: number
  id?: string
  prompt?: string | undefined
  completion: string
  truth?: string | undefined
  reward: number | null
  advantage?: number
  explain?: string
  parts?: Record<string, number>
  finishReason?: string
}

/** A share or mean with its 95 % interval. */
export interface Interval {
  value: number
  low: number
  high: number
}

/** One line of eval.jsonl: an evaluation on held-out data. */
export interface EvalLine {
  /** "base", "after SFT", "step 40" … */
  label: string
  step?: number
  /** Questions. */
  n: number
  exactMatch: Interval
  formatRate?: Interval
  nameRate?: Interval
  meanLength?: Interval
}

/** One line of questions.jsonl: the same question answered at several points of a run. */
export interface QuestionLine {
  question: string
  truth?: string
  answers: { label: string; text: string; right: boolean; explain?: string }[]
}

export interface Run {
  name: string
  path: string
  config: Record<string, unknown>
  metrics: MetricLine[]
  /** A few steps' completions, best and worst of each. */
  completions: CompletionLine[]
  evaluations: EvalLine[]
  questions: QuestionLine[]
  /** Runs in folders below this one, the stages of a quickstart, in order. */
  stages: Run[]
}

/** JSON lines of a file; a missing file has none, a line that is no JSON object is left out. */
export async function readJsonLines<T extends object>(
  file: string,
  keep: (line: T) => boolean = () => true,
): Promise<T[]> {
  if (!existsSync(file)) return []
  const lines: T[] = []
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    const value = parseObject<T>(text)
    if (value && keep(value)) lines.push(value)
  }
  return lines
}

function parseObject<T extends object>(text: string): T | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as T) : null
  } catch {
    return null
  }
}

export const isRun = (folder: string): boolean => existsSync(join(folder, 'metrics.jsonl'))

/** Names of the folders right below one that are runs. */
export const runsIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isRun(join(folder, entry.name)))
    .map(({ name }) => name)

/** Reads a run folder and its stages. Throws `ERR_IO` where there is neither. */
export async function readRun(folder: string): Promise<Run> {
  const path = resolve(folder)
  if (!existsSync(path) || !statSync(path).isDirectory())
    fail('Error', 'ERR_IO', `[report] expected a run folder, got ${folder}`)
  const stageFolders = runsIn(path)
    .map((name) => join(path, name))
    .sort((a, b) => stageOrder(a) - stageOrder(b))
  if (!isRun(path) && stageFolders.length === 0)
    fail('Error', 'ERR_IO', `[report] expected metrics.jsonl in ${folder} or in folders below it, found none`)
  const metrics = mergeSteps(await readJsonLines<MetricLine>(join(path, 'metrics.jsonl')))
  const configFile = join(path, 'config.json')
  return {
    name: basename(path),
    path,
    config: (existsSync(configFile) && parseObject(readFileSync(configFile, 'utf8'))) || {},
    metrics,
    completions: await sampleCompletions(join(path, 'completions.jsonl'), metrics),
    evaluations: (await readJsonLines<EvalLine>(join(path, 'eval.jsonl'))).filter((e) =>
      Number.isFinite(e.exactMatch?.value),
    ),
    questions: (await readJsonLines<QuestionLine>(join(path, 'questions.jsonl'))).filter((q) =>
      Array.isArray(q.answers),
    ),
    stages: await Promise.all(stageFolders.map(readRun)),
  }
}

/** One line a step: an evaluation is logged on a line of its own. */
function mergeSteps(lines: readonly MetricLine[]): MetricLine[] {
  const byStep = new Map<number, MetricLine>()
  for (const line of lines) if (Number.isFinite(line.step)) byStep.set(line.step, { ...byStep.get(line.step), ...line })
  return [...byStep.values()].sort((a, b) => a.step - b.step)
}

/** The warm start comes before what starts from it; folders of other names come last, in their own order. */
const stageOrder = (folder: string) => {
  const place = ['sft', 'grpo'].indexOf(basename(folder))
  return place < 0 ? 2 : place
}

const stepsShown = 5
const perStep = 4

/** The best and the worst completions of steps spread over the run; the file itself is only streamed. */
async function sampleCompletions(file: string, metrics: readonly MetricLine[]): Promise<CompletionLine[]> {
  const steps = metrics.map((m) => m.step)
  const wanted = new Set(
    Array.from({ length: stepsShown }, (_, i) => steps[Math.round((i * (steps.length - 1)) / (stepsShown - 1))]),
  )
  const lines = await readJsonLines<CompletionLine>(file, (c) => wanted.has(c.step) && typeof c.completion === 'string')
  const byStep = new Map<number, CompletionLine[]>()
  for (const [i, line] of lines.entries()) {
    // A prompt is logged with its first completion only.
    const before = lines[i - 1]
    if (before && before.step === line.step && before.id === line.id) {
      line.prompt ??= before.prompt
      line.truth ??= before.truth
    }
    byStep.set(line.step, [...(byStep.get(line.step) ?? []), line])
  }
  return [...byStep.keys()]
    .sort((a, b) => a - b)
    .flatMap((step) => {
      const ordered = byStep.get(step)!.sort((a, b) => (b.reward ?? 0) - (a.reward ?? 0))
      if (ordered.length <= perStep) return ordered
      return [...ordered.slice(0, perStep / 2), ...ordered.slice(-perStep / 2)]
    })
}
