/** Flags of the smallest quickstart that goes through all its stages. Later ones win: `[...tiny, ...flags]`. */
export const tiny = settings(
  'model.hiddenSize=32',
  'model.intermediateSize=32',
  'model.numLayers=1',
  'model.numHeads=2',
  'model.numKvHeads=1',
  'model.headDim=16',
  'tasks.sft=8',
  'tasks.grpo=8',
  'tasks.heldOut=4',
  'sft.maxSteps=2',
  'sft.warmupSteps=0',
  'sft.examplesPerStep=2',
  'grpo.maxSteps=2',
  'grpo.warmupSteps=0',
  'grpo.promptsPerStep=2',
  'grpo.numGenerations=2',
  'grpo.maxCompletionLength=8',
  'grpo.evalSteps=1',
)

export function settings(...list: string[]): string[] {
  return list.flatMap((one) => ['--set', one])
}
