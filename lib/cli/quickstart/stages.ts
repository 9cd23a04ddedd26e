// The stages of the quickstart, from settings to a trained model.

import { join } from 'node:path'
import { syntheticExamples } from '../../data/synthetic/dataset.js'
import { sloppyTeacher } from '../../data/synthetic/teacher.js'
import { syntheticTokenizer } from '../../data/synthetic/tokenizer.js'
import { createModel, type Model } from '../../model.js'
import type { DecoderConfig } from '../../nn/config.js'
import { mustEnd } from '../../reward/ended.js'
import { toolCallReward } from '../../reward/tool-call.js'
import { Tokenizer } from '../../text/tokenizer.js'
import { GRPOTrainer } from '../../train/grpo.js'
import { SFTTrainer } from '../../train/sft.js'
import { type Measured, measure, trainerEvaluation } from '../held-out.js'
import { describeModel } from '../inputs.js'
import { openRunFolder, runTrainer, TrainingView } from '../training.js'
import { grpoColumns, sftColumns } from '../ui/step-table.js'
import type { QuickstartSettings } from './settings.js'

export interface Stages {
  /** What is trained on what, for people. */
  facts: [string, string][]
  modelFolder: string
  /** Both resolve to whether they came to their end; false where Ctrl-C stopped them. */
  warmStart(): Promise<boolean>
  reinforce(): Promise<boolean>
  measure(label: string): Promise<Measured>
  dispose(): void
}

/** A model of the Qwen3 family with random weights, as large as the settings say. */
function freshModel({ model: { initStd, ...shape }, seed, dtype }: QuickstartSettings): Model {
  const files = syntheticTokenizer()
  const { vocabSize, eosTokenId, padTokenId } = new Tokenizer(files)
  const config: DecoderConfig = {
    family: 'qwen3',
    ...shape,
    vocabSize,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    ropeScaling: null,
    tieWordEmbeddings: true,
    attentionBias: false,
    qkNorm: true,
    maxPositionEmbeddings: 1024,
    bosTokenId: null,
    eosTokenIds: eosTokenId === null ? [] : [eosTokenId],
    padTokenId,
  }
  return createModel(config, { dtype, seed, initStd, tokenizer: files })
}

/** Makes the model and the tasks. */
export async function prepare(settings: QuickstartSettings, folder: string, json: boolean): Promise<Stages> {
  const { seed, tasks, sft, grpo } = settings
  const { sft: demonstrated, grpo: practised, heldOut: held, ...difficulty } = tasks
  let demonstrations = syntheticExamples({
    split: 'train',
    count: demonstrated,
    seed,
    difficulty,
    teacher: sloppyTeacher,
  })
  const practice = syntheticExamples({ split: 'train', count: practised, from: demonstrated, seed, difficulty })
  const heldOut = syntheticExamples({ split: 'heldout', count: held, seed, difficulty })
  const model = freshModel(settings)
  const sampling = { maxCompletionLength: grpo.maxCompletionLength, kvMemory: grpo.kvMemory }
  await openRunFolder(
    folder,
    { ...settings, model: 'quickstart', dataset: 'synthetic tasks', architecture: settings.model },
    true,
  )
  const started = async (stage: 'sft' | 'grpo', config: object) => {
    const outputDir = join(folder, stage)
    await openRunFolder(outputDir, { ...config, outputDir }, false)
    return outputDir
  }
  return {
    facts: [
      ['model', describeModel(model)],
      ['tasks', `${demonstrated} demonstrated, ${practised} to practise, ${held} held out with tools that neither has`],
    ],
    modelFolder: join(folder, 'grpo', 'checkpoints'),
    async warmStart() {
      const config = { ...sft, outputDir: await started('sft', sft) }
      const view = new TrainingView({ name: 'SFT', columns: sftColumns, every: 50, quiet: json })
      const { onStep, print } = view.hooks
      const summary = await runTrainer(new SFTTrainer({ model, dataset: demonstrations, config, onStep, print }), view)
      demonstrations = [] // most of the process's JavaScript memory, and nobody reads them again
      return !summary.stopped
    },
    async reinforce() {
      const config = { ...grpo, outputDir: await started('grpo', grpo) }
      const view = new TrainingView({ name: 'GRPO', columns: grpoColumns, every: 10, quiet: json })
      const trainer = new GRPOTrainer({
        model,
        dataset: practice,
        reward: { name: 'v0', fn: mustEnd(toolCallReward('v0')) },
        config,
        evaluate: trainerEvaluation(model, heldOut.slice(0, 100), sampling),
        ...view.hooks,
      })
      return !(await runTrainer(trainer, view)).stopped
    },
    measure: (label) => measure(model, heldOut, { label, ...sampling }),
    dispose: () => model.dispose(),
  }
}
