// From settings to objects: models, rewards.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fail } from '../errors.js'
import { openCheckpoint } from '../formats/checkpoint.js'
import { resolveModel } from '../formats/hub.js'
import { createModel, loadModel, type Model } from '../model.js'
import { shapeConfig } from '../nn/shapes.js'
import type { Variant } from '../reward/parse.js'
import { variants } from '../reward/parse.js'
import { toolCallReward } from '../reward/tool-call.js'
import type { RewardFunction, WeightedReward } from '../reward/types.js'
import { Tokenizer } from '../text/tokenizer.js'
import { bytes } from './ui/format.js'
import { Progress } from './ui/progress.js'

interface ModelSettings {
  model: string
  device: string
  dtype: 'auto' | 'fp32' | 'bf16'
}

/** Opens a model folder, a run's folder (its newest checkpoint), a .gguf file, a hub id (downloaded first, with a bar), or `shape:NAME` (random weights, no tokenizer). */
export async function openModel({ model, device, dtype }: ModelSettings): Promise<Model> {
  const options = { device, dtype: dtype === 'fp32' ? ('f32' as const) : dtype }
  if (model.startsWith('shape:')) return createModel(shapeConfig(model.slice('shape:'.length)), options)
  const progress = new Progress(true)
  let started = false
  try {
    const path = await resolveModel(model, {
      onProgress: ({ file, received, total }) => {
        if (!started) progress.start('download', total)
        started = true
        progress.update(received, `${bytes(received)} of ${bytes(total)}  ${file}`)
      },
    })
    progress.stop()
    return await loadModel(path, options)
  } finally {
    progress.stop()
  }
}

/** One line that says which model was opened. */
export function describeModel({ config, dtype, device, params }: Model): string {
  const count = params.tensorSpecs().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
  const [unit, letter]: [number, string] = count >= 1e9 ? [1e9, 'B'] : count >= 1e6 ? [1e6, 'M'] : [1e3, 'k']
  return `${config.family}, ${config.numLayers} layers of ${config.hiddenSize}, ${(count / unit).toFixed(1)} ${letter} parameters, ${dtype} on ${device.name}`
}

/** Rewards by name: Tool-N1's variants, or functions exported by modules of the user's (`./file.mjs#export`, default `reward`). */
export async function openRewards(specs: readonly { name: string; weight: number }[]): Promise<WeightedReward[]> {
  return Promise.all(specs.map(async ({ name, weight }) => ({ ...(await openReward(name)), weight })))
}

async function openReward(name: string): Promise<{ name: string; fn: RewardFunction }> {
  if ((variants as readonly string[]).includes(name)) return { name, fn: toolCallReward(name as Variant) }
  const [file, exported = 'reward'] = name.split('#') as [string, string?]
  if (!/\.[cm]?js$/.test(file)) {
    const known = variants.join(', ')
    fail(
      'TypeError',
      'ERR_CONFIG',
      `[config] reward: expected one of ${known}, or a module such as "./reward.mjs", got "${name}"`,
    )
  }
  let found: unknown
  try {
    const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
    found = module[exported]
  } catch (error) {
    fail('Error', 'ERR_CONFIG', `[config] reward: cannot load ${file}: ${(error as Error).message}`, error)
  }
  if (typeof found !== 'function')
    fail(
      'TypeError',
      'ERR_CONFIG',
      `[config] reward: expected ${file} to export a function named "${exported}", got ${typeof found}`,
    )
  return { name: exported, fn: found as RewardFunction }
}

/** The tokenizer of a model folder, .gguf file or hub id, without its weights. */
export async function openTokenizer(model: string): Promise<Tokenizer> {
  const source = await openCheckpoint(await resolveModel(model))
  try {
    if (source.tokenizer) return new Tokenizer(source.tokenizer)
    return fail(
      'Error',
      'ERR_TOKENIZER',
      `[data] expected ${model} to have a tokenizer: ${source.tokenizerMissing ?? 'it has none'}`,
    )
  } finally {
    await source.dispose()
  }
}
