// Saving a model as a Hugging Face folder that transformers (5 and 4), vLLM and llama.cpp's converter load.

import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fail } from '../errors.js'
import type { DecoderConfig } from '../nn/config.js'
import { configJson, type GenerationConfig, generationToHuggingFace } from './config.js'
import { exists, writeFileSynced, writeFolderAtomically } from './io.js'
import { checkTensors, type TokenizerFiles } from './model-source.js'
import { writeModelSafetensors } from './safetensors-write.js'

/** A tensor to save under its Hugging Face name; `read` is called once, when its turn to be written comes. */
export interface TensorOutput {
  name: string
  shape: readonly number[]
  read(): Float32Array | Promise<Float32Array>
}

export interface HuggingFaceModel {
  config: DecoderConfig
  generationConfig: GenerationConfig | null
  /** Every tensor of the config (`decoderTensorShapes`), without `lm_head.weight` where it is tied. */
  tensors: Iterable<TensorOutput>
  dtype: 'float32' | 'bfloat16'
  /** Copied as it is; null saves a folder without a tokenizer. */
  tokenizer: TokenizerFiles | null
  /** Weights above this are written as numbered shards. Default 5e9. */
  maxShardBytes?: number
}

/** Files a model folder may hold; a folder with anything else is not replaced. */
const modelFile =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|model\.safetensors\.index)\.json$|^model(-\d{5}-of-\d{5})?\.safetensors$|^(chat_template\.jinja|merges\.txt)$/

/**
 * Writes config.json, generation_config.json, the weights and the tokenizer into `folder`.
 *
 * The folder appears whole or not at all: everything is written beside it, fsynced and renamed. An older model there is
 * replaced; a folder that holds anything but a model is refused (`ERR_IO`), and so are tensors that are not exactly those of
 * the config (`ERR_FORMAT`).
 */
export async function saveHuggingFace(folder: string, model: HuggingFaceModel): Promise<void> {
  const where = `[save] ${basename(folder)}`
  const tensors = [...model.tensors]
  checkTensors(new Map(tensors.map(({ name, shape }) => [name, shape])), model.config, where)
  await refuseForeignFolder(folder, where)
  await writeFolderAtomically(
    folder,
    async (temporary) => {
      const write = (name: string, content: string) => writeFileSynced(join(temporary, name), content)
      const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
      await write('config.json', configJson(model.config, model.dtype))
      await write('generation_config.json', json(generationToHuggingFace(model.config, model.generationConfig)))
      if (model.tokenizer) {
        const { tokenizerJson, tokenizerConfig, chatTemplate } = model.tokenizer
        await write('tokenizer.json', tokenizerJson)
        await write('tokenizer_config.json', tokenizerConfig)
        if (chatTemplate !== null) await write('chat_template.jinja', chatTemplate)
      }
      await writeModelSafetensors(
        temporary,
        tensors.map(({ name, shape, read }) => ({
          name,
          shape,
          dtype: model.dtype === 'bfloat16' ? 'BF16' : 'F32',
          read,
        })),
        { ...(model.maxShardBytes === undefined ? {} : { maxShardBytes: model.maxShardBytes }) },
      )
    },
    where,
  )
}

async function refuseForeignFolder(folder: string, where: string): Promise<void> {
  if (!(await exists(folder))) return
  const entries = await readdir(folder).catch(() => [])
  const foreign = entries.find((name) => !modelFile.test(name))
  if (foreign !== undefined) {
    fail(
      'Error',
      'ERR_IO',
      `${where}: expected a new folder, an empty one or one with a model to replace; ${folder} also holds ${JSON.stringify(foreign)}`,
    )
  }
}
