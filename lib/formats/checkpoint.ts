// Opening a model on disk: a Hugging Face folder or a GGUF file, behind one interface.

import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fail } from '../errors.js'
import { configFromHuggingFace } from './config.js'
import { openGguf } from './gguf.js'
import { ioReason, parseJsonObject, readTextIfPresent } from './io.js'
import { checkFinite, checkTensors, type ModelSource, type TokenizerFiles } from './model-source.js'
import { SafetensorsSet } from './safetensors-set.js'

export type { ModelSource, TokenizerFiles } from './model-source.js'

/**
 * Opens a Hugging Face folder (config.json, safetensors, tokenizer.json) or a `.gguf` file.
 *
 * The config and the tensors' names and shapes are checked against each other now; the weights are read tensor by tensor
 * with `readFloat32`. Call `dispose` when they are read. Errors: `ERR_IO`, `ERR_FORMAT`, `ERR_CONFIG`.
 */
export async function openCheckpoint(path: string): Promise<ModelSource> {
  const info = await stat(path).catch((error) =>
    fail('Error', 'ERR_IO', `[checkpoint] cannot open ${path}: ${ioReason(error)}`, error),
  )
  if (info.isDirectory()) return openFolder(path)
  if (path.endsWith('.gguf')) return openGguf(path)
  return fail(
    'Error',
    'ERR_FORMAT',
    `[checkpoint] expected a Hugging Face folder or a .gguf file, got the file ${path}`,
  )
}

async function openFolder(folder: string): Promise<ModelSource> {
  const where = `[checkpoint] ${basename(folder)}`
  const configText = await readTextIfPresent(join(folder, 'config.json'), where)
  if (configText === null) {
    fail('Error', 'ERR_FORMAT', `${where}: expected a config.json in ${folder}, there is none`)
  }
  const generationText = await readTextIfPresent(join(folder, 'generation_config.json'), where)
  const generationConfig =
    generationText === null ? null : parseJsonObject(generationText, `${where}: generation_config.json`)
  const config = configFromHuggingFace(
    parseJsonObject(configText, `${where}: config.json`),
    generationConfig,
    `[config] ${join(basename(folder), 'config.json')}`,
  )
  const tokenizer = await readTokenizerFiles(folder, where)
  const weights = await SafetensorsSet.open(folder)
  try {
    const shapes = new Map(weights.names.map((name) => [name, weights.entry(name)!.shape]))
    const tensors = checkTensors(shapes, config, where)
    return {
      path: folder,
      format: 'huggingface',
      config,
      generationConfig,
      tensors,
      tokenizer,
      tokenizerMissing: tokenizer ? null : `${where}: the folder has no tokenizer.json`,
      async readFloat32(name) {
        if (!tensors.has(name))
          fail('RangeError', 'ERR_FORMAT', `${where}: expected one of the model's tensors, got "${name}"`)
        return checkFinite(await weights.readFloat32(name), name, where)
      },
      dispose: () => weights.close(),
    }
  } catch (error) {
    await weights.close()
    throw error
  }
}

/** The tokenizer of a Hugging Face folder, or null where it has none. */
export async function readTokenizerFiles(folder: string, where = '[tokenizer]'): Promise<TokenizerFiles | null> {
  const tokenizerJson = await readTextIfPresent(join(folder, 'tokenizer.json'), where)
  if (tokenizerJson === null) return null
  const tokenizerConfig = (await readTextIfPresent(join(folder, 'tokenizer_config.json'), where)) ?? '{}'
  const parsed = parseJsonObject(tokenizerConfig, `${where}: tokenizer_config.json`)
  const file = await readTextIfPresent(join(folder, 'chat_template.jinja'), where)
  return { tokenizerJson, tokenizerConfig, chatTemplate: file ?? templateOf(parsed.chat_template) }
}

/** `chat_template` is text, or a list of named ones of which "default" counts. */
function templateOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return null
  const named = value.find((entry) => entry?.name === 'default') as { template?: unknown } | undefined
  return typeof named?.template === 'string' ? named.template : null
}
