// What `train`, `sft` and `quickstart` share: a trainer run with its lines, its bar, Ctrl-C, and the report at the end.

import { existsSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../errors.js'
import type { RolloutProgress } from '../rollout/types.js'
import type { StepReport, TrainSummary } from '../train/loop.js'
import { writeReport } from '../train/report.js'
import { onInterrupt } from './interrupt.js'
import { duration } from './ui/format.js'
import { Progress } from './ui/progress.js'
import { type Column, StepTable } from './ui/step-table.js'
import { dim } from './ui/style.js'
import { pairs } from './ui/table.js'

/** A trainer, as far as a command drives it. */
export interface Trainable {
  train(): Promise<TrainSummary>
  stop(): void
}

/** The hooks that a view gives to a trainer's options. */
export interface ViewHooks {
  onStep(report: StepReport): void
  onProgress(progress: RolloutProgress): void
  print(line: string): void
}

export interface ViewOptions {
  /** Name of the bar: "GRPO". */
  name: string
  columns: readonly Column[]
  /** Print the first step, every n-th and the last. */
  every: number
  /** Nothing on standard output (it belongs to JSON). */
  quiet: boolean
}

/** Of equal notes, one in so many is shown; all are in metrics.jsonl. */
const notesEvery = 25

/** Shows a training: lines per step above a bar that says how far it is and how long it will take. */
export class TrainingView {
  readonly #progress: Progress
  readonly #table: StepTable
  readonly #started = performance.now()
  readonly #noted = new Map<string, number>()
  #first: number | null = null
  #at = 0
  #total = 0

  /** What a trainer's options take. */
  readonly hooks: ViewHooks = {
    onStep: (report) => this.#step(report),
    onProgress: (progress) => this.#rollouts(progress),
    print: (line) => this.show(`  ${dim(line)}`),
  }

  constructor(private readonly options: ViewOptions) {
    this.#progress = new Progress(options.quiet)
    this.#table = new StepTable(options.columns)
  }

  /** Text above the bar. */
  show(text: string): void {
    this.#progress.line(text)
  }

  #step({ step, totalSteps, metrics, notes }: StepReport): void {
    if (this.#first === null) {
      this.#progress.start(this.options.name, totalSteps)
      this.#first = step
    }
    this.#at = step
    this.#total = totalSteps
    const news = notes.filter((note) => this.#isNews(note))
    if (step === this.#first || step % this.options.every === 0 || step === totalSteps || news.length > 0)
      for (const line of this.#table.lines(step, totalSteps, metrics, news)) this.#progress.line(line)
    this.#progress.update(step, this.#left())
  }

  /** A note is shown the first time and then every so often; numbers in it do not make it another note. */
  #isNews(note: string): boolean {
    const kind = note.replace(/\d+/g, '#')
    const times = this.#noted.get(kind) ?? 0
    this.#noted.set(kind, times + 1)
    return times % notesEvery === 0
  }

  #rollouts({ done, total, tokensPerSecond }: RolloutProgress): void {
    if (this.#first === null) return
    this.#progress.update(
      this.#at,
      `${this.#left()}  sampling ${done}/${total}, ${tokensPerSecond.toFixed(0)} tokens/s`,
    )
  }

  #left(): string {
    const made = this.#at - (this.#first ?? 0) + 1
    const seconds = (performance.now() - this.#started) / 1000
    return this.#at === this.#total ? '' : `${duration((seconds / made) * (this.#total - this.#at))} left`
  }

  stop(): void {
    this.#progress.stop()
  }
}

/** Trains to the end, or to where Ctrl-C asks it to stop. */
export async function runTrainer(trainer: Trainable, view: TrainingView): Promise<TrainSummary> {
  const interrupt = onInterrupt(
    () => trainer.stop(),
    (line) => view.show(`  ${line}`),
  )
  try {
    return await trainer.train()
  } finally {
    interrupt.dispose()
    view.stop()
  }
}

/** Makes a run's folder and writes its settings; on a resume they are written again, for `--set` may have made it longer. */
export async function openRunFolder(folder: string, config: object, resume: boolean): Promise<void> {
  if (!resume && existsSync(join(folder, 'metrics.jsonl'))) {
    const advice = 'go on with --resume, take another name with --set name=…, or delete it'
    fail('Error', 'ERR_CONFIG', `[run] expected a folder without a run, ${folder} holds one: ${advice}`)
  }
  try {
    await mkdir(folder, { recursive: true })
    writeFileSync(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
  } catch (error) {
    fail('Error', 'ERR_IO', `[run] cannot write ${folder}: ${(error as Error).message}`, error)
  }
}

/** What is said and done when a training has ended: the report, where the model is, how to go on. */
export async function finish(
  summary: TrainSummary,
  { outputDir, view, json }: { outputDir: string; view: TrainingView; json: boolean },
): Promise<void> {
  let report: string | null = null
  try {
    report = await writeReport(outputDir)
  } catch (error) {
    view.show(`  No report: ${(error as Error).message}`)
  }
  const { step, totalSteps, stopped, checkpoint } = summary
  if (json) {
    console.log(JSON.stringify({ step, totalSteps, stopped, checkpoint, report }))
    return
  }
  view.show('')
  view.show(
    pairs([
      [stopped ? 'stopped' : 'done', `${step} of ${totalSteps} steps${stopped ? '; go on with --resume' : ''}`],
      ...(checkpoint ? [['model', `${checkpoint} (a Hugging Face folder)`] as const] : []),
      ...(report ? [['report', report] as const] : []),
    ]),
  )
}
