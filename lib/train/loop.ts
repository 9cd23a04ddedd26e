import type { CheckpointContents } from './checkpoint.js'
import type { RunFolder } from './run-folder.js'
import type { Stopwatch } from './timing.js'
import type { MetricWindow } from './window.js'

/** What `onStep` gets after every update. */
export interface StepReport {
  /** Updates made, this one included. */
  step: number
  totalSteps: number
  /** Figures of this update (metrics.jsonl has their means over `loggingSteps`). */
  metrics: Record<string, number>
  /** What a reader of the log should know about this update; usually nothing. */
  notes: string[]
}

export type OnStep = (report: StepReport) => void | Promise<void>

/** Figures of held-out data after `step` updates; logged as `eval_<name>`. */
export type Evaluate = (step: number) => Promise<Record<string, number>>

export interface TrainSummary {
  /** Updates made in all, those before a resume included. */
  step: number
  totalSteps: number
  /** Whether `stop()` ended it. */
  stopped: boolean
  /** Path of the last checkpoint; null without an output folder. */
  checkpoint: string | null
}

/** A trainer as the loop sees it. */
export interface Stepper {
  /** Updates made; counts up at the instant an update is complete, so a checkpoint at any time is consistent. */
  readonly step: number
  update(): Promise<{ metrics: Record<string, number>; notes: string[] }>
  contents(): Promise<CheckpointContents>
}

export interface LoopOptions {
  config: { loggingSteps: number; saveSteps: number; evalSteps: number }
  totalSteps: number
  folder: RunFolder
  window: MetricWindow
  stopwatch: Stopwatch
  stopRequested(): boolean
  evaluate?: Evaluate | undefined
  onStep?: OnStep | undefined
}

/**
 * Makes updates until the last step or until a stop is requested; logs, evaluates and saves on the way, and saves at the end.
 *
 * An error ends the run. What was reached is saved first (a reward that throws must not cost the steps before it), except where a
 * figure was not finite: those weights are not worth keeping, and the checkpoint before stays the newest.
 */
export async function runLoop(trainer: Stepper, options: LoopOptions): Promise<TrainSummary> {
  const { config, totalSteps, folder, window, stopwatch, evaluate, onStep } = options
  let savedAt = trainer.step
  let checkpoint: string | null = null
  let notes: string[] = []
  const save = async () => {
    checkpoint = await stopwatch.time('checkpoint', async () => folder.save(await trainer.contents()))
    savedAt = trainer.step
  }
  const flush = () => {
    folder.metrics({ step: trainer.step, ...window.take(), ...(notes.length > 0 && { note: notes.join(' ') }) })
    notes = []
  }
  try {
    while (trainer.step < totalSteps && !options.stopRequested()) {
      const update = await trainer.update()
      const { step } = trainer
      const metrics = { ...update.metrics, ...stopwatch.take() }
      window.add(metrics)
      notes.push(...update.notes)
      if (step % config.loggingSteps === 0 || step === totalSteps) flush()
      await onStep?.({ step, totalSteps, metrics, notes: update.notes })
      if (evaluate && config.evalSteps > 0 && step % config.evalSteps === 0) {
        const figures = Object.entries(await stopwatch.time('eval', () => evaluate(step)))
        folder.metrics({ step, ...Object.fromEntries(figures.map(([name, value]) => [`eval_${name}`, value])) })
      }
      if (config.saveSteps > 0 && step % config.saveSteps === 0) await save()
      stopwatch.restart()
    }
  } catch (error) {
    const code = (error as { code?: string } | null)?.code
    // The first error is the one to report; that saving failed as well adds nothing to it.
    if (code !== 'ERR_NONFINITE' && trainer.step > savedAt) await save().catch(() => {})
    throw error
  }
  if (trainer.step > savedAt) await save()
  return { step: trainer.step, totalSteps, stopped: trainer.step < totalSteps, checkpoint }
}
