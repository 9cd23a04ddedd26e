// `callgrad sft`: supervised training on the replies of a data set.

import { join } from 'node:path'
import type { Command } from 'commander'
import { parseSFTRun, type SFTRun, sftPart } from '../train/config.js'
import { type ConfigOptions, nameOf, settingsOf, withSettings } from './options.js'
import { type PlanFlags, withPlan } from './plan/flags.js'
import { pairs } from './ui/table.js'

interface Options extends ConfigOptions, PlanFlags {
  resume?: boolean | string
}

export function sftCommand(program: Command): void {
  const command = program
    .command('sft')
    .description('train on the answers of a data set; the loss is on the answers only')
    .argument('<config>', 'YAML or JSON file')
    .option('--resume [checkpoint]', 'go on from the newest checkpoint of the run, or from the one given')
  withSettings(withPlan(command))
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad sft examples/smollm2-toolcalls/sft.yaml
  $ callgrad sft sft.yaml --set dataset.part=1/2 --set numTrainEpochs=2

Ctrl-C finishes the step that is running, saves a checkpoint and exits 0; a second Ctrl-C ends at once with 130.`,
    )
    .action(sft)
}

async function sft(file: string, options: Options): Promise<void> {
  const run = parseSFTRun(settingsOf(file, {}, options.set))
  if (options.plan) return plan(run, options)
  const name = run.name ?? nameOf(file)
  const outputDir = run.outputDir ?? join('runs', name)
  const { SFTTrainer } = await import('../train/sft.js')
  const { describeModel, openModel } = await import('./inputs.js')
  const { describeExamples, openExamples, withReplies } = await import('./examples.js')
  const { heldOutStages } = await import('./held-out.js')
  const { finish, openRunFolder, runTrainer, TrainingView } = await import('./training.js')
  const { sftColumns } = await import('./ui/step-table.js')

  const quiet = options.json === true
  const view = new TrainingView({ name: 'SFT', columns: sftColumns, every: run.loggingSteps, quiet })
  const dataset = withReplies(await openExamples(run.dataset, run), run)
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
    const trainer = new SFTTrainer({
      model,
      dataset: dataset.examples,
      config: { ...sftPart(run), outputDir },
      ...(evaluation && { evaluate: evaluation.whileTraining }),
      ...(options.resume !== undefined && { resume: options.resume }),
      onStep: view.hooks.onStep,
      print: view.hooks.print,
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

async function plan(run: SFTRun, options: Options): Promise<void> {
  const { makePlan } = await import('./plan/plan.js')
  const { printPlan, refuseUnfit } = await import('./plan/print.js')
  const made = await makePlan({ kind: 'sft', run }, options)
  if (options.json) console.log(JSON.stringify(made))
  else printPlan(made)
  refuseUnfit(made)
}
