// `callgrad sft`: supervised training on the replies of a data set.

import type { Command } from 'commander'
import { parseSFTRun, type SFTRun, sftPart } from '../train/config.js'
import { runTraining, type Training, type TrainingFlags, withTraining } from './training-command.js'

export function sftCommand(program: Command): void {
  const command = program
    .command('sft')
    .description('train on the answers of a data set; the loss is on the answers only')
  withTraining(command)
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad sft examples/smollm2-toolcalls/sft.yaml
  $ callgrad sft sft.yaml --set dataset.part=1/2 --set numTrainEpochs=2

Ctrl-C finishes the step that is running, saves a checkpoint and exits 0; a second Ctrl-C ends at once with 130.`,
    )
    .action((file: string, options: TrainingFlags) => runTraining(supervised, file, options))
}

const supervised: Training<SFTRun> = {
  title: 'SFT',
  parse: parseSFTRun,
  planned: (run) => ({ kind: 'sft', run }),
  async open(run) {
    const { SFTTrainer } = await import('../train/sft.js')
    const { openExamples, withReplies } = await import('./examples.js')
    const { sftColumns } = await import('./ui/step-table.js')
    const dataset = withReplies(await openExamples(run.dataset, run), run)
    return {
      columns: sftColumns,
      dataset,
      trainer({ outputDir, hooks: { onStep, print }, ...inputs }) {
        const config = { ...sftPart(run), outputDir }
        return new SFTTrainer({ ...inputs, dataset: dataset.examples, config, onStep, print })
      },
    }
  },
}
