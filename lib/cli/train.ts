// `callgrad train`: GRPO from a config file.

import type { Command } from 'commander'
import { grpoPart, parseTrainRun, type TrainRun } from '../train/config.js'
import { runTraining, type Training, type TrainingFlags, withTraining } from './training-command.js'

export function trainCommand(program: Command): void {
  const command = program
    .command('train')
    .description('train by GRPO; writes runs/NAME with metrics, completions, checkpoints and report.html')
  withTraining(command)
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
    .action((file: string, options: TrainingFlags) => runTraining(reinforced, file, options))
}

const reinforced: Training<TrainRun> = {
  title: 'GRPO',
  parse: parseTrainRun,
  planned: (run) => ({ kind: 'grpo', run }),
  async open(run) {
    const { GRPOTrainer } = await import('../train/grpo.js')
    const { openRewards } = await import('./inputs.js')
    const { openExamples } = await import('./examples.js')
    const { grpoColumns } = await import('./ui/step-table.js')
    const reward = await openRewards(run.reward)
    const dataset = await openExamples(run.dataset, run)
    return {
      columns: grpoColumns,
      dataset,
      trainer({ outputDir, hooks, ...inputs }) {
        const config = { ...grpoPart(run), outputDir }
        return new GRPOTrainer({ ...inputs, dataset: dataset.examples, reward, config, ...hooks })
      },
    }
  },
}
