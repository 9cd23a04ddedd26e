// What `callgrad train` and `callgrad sft` have in common: options, and the order of a training.

import { join } from 'node:path'
import type { Command } from 'commander'
import type { Dataset } from '../data/load.js'
import type { Model } from '../model.js'
import type { SFTRun, TrainRun } from '../train/config.js'
import type { Evaluate } from '../train/loop.js'
import { type ConfigOptions, nameOf, settingsOf, withSettings } from './options.js'
import { type PlanFlags, withPlan } from './plan/flags.js'
import type { Planned } from './plan/plan.js'
import type { Trainable, ViewHooks } from './training.js'
import type { Column } from './ui/step-table.js'
import { pairs } from './ui/table.js'

export interface TrainingFlags extends ConfigOptions, PlanFlags {
  resume?: boolean | string
}

/** The config file's argument and the options of a training. */
export function withTraining(command: Command): Command {
  command
    .argument('<config>', 'YAML or JSON file')
    .option('--resume [checkpoint]', 'go on from the newest checkpoint of the run, or from the one given')
  return withSettings(withPlan(command))
}

/** What a trainer gets besides what is its own. */
export interface TrainerInputs {
  model: Model
  outputDir: string
  evaluate?: Evaluate
  resume?: boolean | string
  hooks: ViewHooks
}

/** A kind of training. */
export interface Training<R extends TrainRun | SFTRun> {
  /** Name of the bar. */
  title: string
  /** The settings of a file, checked. */
  parse(settings: Record<string, unknown>, file: string): R
  /** The settings as `--plan` takes them. */
  planned(run: R): Planned
  /** Reads what is read before the model, which takes longest. */
  open(run: R): Promise<{
    columns: readonly Column[]
    dataset: Dataset
    trainer(inputs: TrainerInputs): Trainable
  }>
}

/** Trains as the config file says, from the facts above the bar to the report; or says what that would take. */
export async function runTraining<R extends TrainRun | SFTRun>(
  { title, parse, planned, open }: Training<R>,
  file: string,
  options: TrainingFlags,
): Promise<void> {
  const run = parse(settingsOf(file, {}, options.set), file)
  if (options.plan) return plan(planned(run), options)
  const name = run.name ?? nameOf(file)
  const outputDir = run.outputDir ?? join('runs', name)
  const { describeModel, openModel } = await import('./inputs.js')
  const { describeExamples, openExamples } = await import('./examples.js')
  const { heldOutStages } = await import('./held-out.js')
  const { finish, openRunFolder, runTrainer, TrainingView } = await import('./training.js')

  const { columns, dataset, trainer: makeTrainer } = await open(run)
  const quiet = options.json === true
  const view = new TrainingView({ name: title, columns, every: run.loggingSteps, quiet })
  const heldOut = run.evalDataset && (await openExamples(run.evalDataset, run))
  const model = await openModel(run)
  try {
    view.show(
      pairs([
        ['run', outputDir],
        ['model', describeModel(model)],
        ['data', describeExamples(dataset)],
        ...(heldOut ? [['held out', describeExamples(heldOut)] as const] : []),
      ]),
    )
    const evaluation = heldOut && heldOutStages(model, heldOut.examples, { outputDir, view, run })
    const trainer = makeTrainer({
      model,
      outputDir,
      ...(evaluation && { evaluate: evaluation.whileTraining }),
      ...(options.resume !== undefined && { resume: options.resume }),
      hooks: view.hooks,
    })
    await openRunFolder(outputDir, { ...run, name, outputDir }, options.resume !== undefined)
    if (run.evalOnStart && options.resume === undefined) await evaluation?.measure('before')
    const summary = await runTrainer(trainer, view)
    if (!summary.stopped) await evaluation?.measure(`step ${summary.step}`)
    await finish(summary, { outputDir, view, json: quiet })
  } finally {
    model.dispose()
  }
}

async function plan(planned: Planned, options: TrainingFlags): Promise<void> {
  const { makePlan } = await import('./plan/plan.js')
  const { printPlan, refuseUnfit } = await import('./plan/print.js')
  const made = await makePlan(planned, options)
  if (options.json) console.log(JSON.stringify(made))
  else printPlan(made)
  refuseUnfit(made)
}
