import { createHash } from 'node:crypto'
import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import { saveHuggingFace } from '../formats/huggingface.js'
import { SafetensorsSet } from '../formats/safetensors-set.js'
import type { Model } from '../model.js'
import type { ParamStore } from '../nn/params.js'
import type { DataFingerprint } from './checkpoint/state.js'
import type { Checkpoint } from './checkpoint.js'

// What both trainers do around their loop.

/** Saves a model as a Hugging Face folder with fp32 weights: the masters' own bits. */
export async function saveMasters(model: Model, folder: string): Promise<void> {
  const { params, config, generationConfig } = model
  await saveHuggingFace(folder, {
    config,
    generationConfig,
    tokenizer: model.hasTokenizer ? model.tokenizer.files : null,
    tensors: params.exportTensors(),
    dtype: 'float32',
  })
}

/** Puts a checkpoint's fp32 weights into a store. */
export async function loadWeights(params: ParamStore, { path }: Checkpoint): Promise<void> {
  const weights = await SafetensorsSet.open(path)
  try {
    for (const { name } of params.tensorSpecs()) params.importTensor(name, await weights.readFloat32(name))
    params.refresh()
    await params.device.synchronize()
  } finally {
    await weights.close()
  }
}

/** What trainers take as `dataset`: a list of examples, or what `loadDataset` gives. */
export type ExampleSource = readonly Example[] | { examples: readonly Example[] }

/** @throws Error (ERR_DATA) where there is no example */
export function examplesOf(dataset: ExampleSource): readonly Example[] {
  const examples = 'examples' in dataset ? dataset.examples : dataset
  if (examples.length === 0) fail('Error', 'ERR_DATA', '[train] expected a data set with examples, got none')
  return examples
}

/** Identifies a data set by its ids in order. */
export function dataFingerprint(dataset: readonly { id: string }[]): DataFingerprint {
  const hash = createHash('sha256')
  for (const { id } of dataset) hash.update(JSON.stringify(id))
  return { size: dataset.length, hash: hash.digest('hex').slice(0, 16) }
}

/** Updates that a run makes: `maxSteps`, or what `numTrainEpochs` needs at `perStep` examples for `updates` updates each time. */
export function totalStepsOf(
  { maxSteps, numTrainEpochs }: { maxSteps: number; numTrainEpochs: number },
  { size, perStep, updates }: { size: number; perStep: number; updates: number },
): number {
  return maxSteps > 0 ? maxSteps : Math.max(1, Math.ceil((numTrainEpochs * size) / perStep)) * updates
}

/**
 * Ends the update after `step` for a figure that is not finite; `suspects` is what to look at besides the first weights.
 *
 * @throws Error (ERR_NONFINITE)
 */
export function stopAtNonFinite(step: number, what: string, suspects: string): never {
  const advice = `nothing was changed by this step; look at ${suspects}, and at the weights that the run started from`
  return fail('Error', 'ERR_NONFINITE', `[train] step ${step + 1}: ${what}; ${advice}`)
}
