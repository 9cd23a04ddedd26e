// `callgrad train`: GRPO from a config file.

import { join } from 'node:path'
import type { Command } from 'commander'
import { grpoPart, parseTrainRun, type TrainRun } from '../train/config.js'
import { type ConfigOptions, nameOf, settingsOf, withSettings } from './options.js'
import { type PlanFlags, withPlan } from './plan/flags.js'
import { pairs } from './ui/table.js'

interface Options extends ConfigOptions, PlanFlags {
  resume?: boolean | string
}

export function trainCommand(program: Command): void {
  const command = program
    .command('train')
    .description('train by GRPO; writes runs/NAME with metrics, completions, checkpoints and report.html')
    .argument('<config>', 'YAML or JSON file')
    .option('--resume [checkpoint]', 'go on from the newest checkpoint of the run, or from the one given')
  withSettings(withPlan(command))
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad train examples/smollm2-toolcalls/grpo.yaml
  $ callgrad train grpo.yaml --set learningRate=2e-6 --set dataset.limit=200 --set name=trial
  $ callgrad train grpo.yaml --resume
  $ callgrad train examples/tool-n1/rl-7b.yaml --plan --device-memory 80GB --throughput 20000

Ctrl-C finishes the step that is running, saves a checkpoint and exits 0; a second Ctrl-C ends at once with 130.`,
    )
    .action(train)
}

async function train(file: string, options: Options): Promise<void> {
  const run = parseTrainRun(settingsOf(file, {}, options.set))
  if (options.plan) return plan(run, options)
  const name = run.name ?? nameOf(file)
  const outputDir = run.outputDir ?? join('runs', name)
  const { GRPOTrainer } = await import('../train/grpo.js')
  const { describeModel, openModel, openRewards } = await import('./inputs.js')
  const { describeExamples, openExamples } = await import('./examples.js')
  const { heldOutStages } = await import('./held-out.js')
  const { finish, openRunFolder, runTrainer, TrainingView } = await import('./training.js')
  const { grpoColumns } = await import('./ui/step-table.js')

  const quiet = options.json === true
  const view = new TrainingView({ name: 'GRPO', columns: grpoColumns, every: run.loggingSteps, quiet })
  const rewards = await openRewards(run.reward)
  const dataset = await openExamples(run.dataset, run)
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
    const trainer = new GRPOTrainer({
      model,
      dataset: dataset.examples,
      reward: rewards,
      config: { ...grpoPart(run), outputDir },
      ...(evaluation && { evaluate: evaluation.whileTraining }),
      ...(options.resume !== undefined && { resume: options.resume }),
      ...view.hooks,
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

async function plan(run: TrainRun, options: Options): Promise<void> {
  const { makePlan } = await import('./plan/plan.js')
  const { printPlan, refuseUnfit } = await import('./plan/print.js')
  const made = await makePlan({ kind: 'grpo', run }, options)
  if (options.json) console.log(JSON.stringify(made))
  else printPlan(made)
  refuseUnfit(made)
}
