// What a plan can learn of model and data without weights and without the network.

import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Example } from '../../data/example.js'
import { fail } from '../../errors.js'
import { openCheckpoint, readTokenizerFiles } from '../../formats/checkpoint.js'
import { configFromHuggingFace } from '../../formats/config.js'
import { parseJsonObject } from '../../formats/io.js'
import type { DecoderConfig } from '../../nn/config.js'
import { shapeConfig, shapeOfHubId } from '../../nn/shapes.js'
import { Tokenizer } from '../../text/tokenizer.js'
import { latestCheckpoint } from '../../train/checkpoint.js'

export interface PlannedModel {
  config: DecoderConfig
  /** How the architecture is known. */
  source: string
  tokenizer: Tokenizer | null
}

/**
 * The model's architecture: from its own config.json or GGUF header where it is here, else by its name, else by `shape`.
 *
 * @throws `ERR_CONFIG` where none of them tells
 */
export async function plannedModel(model: string, shape: string | null): Promise<PlannedModel> {
  if (model.startsWith('shape:')) return known(model.slice('shape:'.length), 'a shape, no weights')
  if (existsSync(model)) return localModel(await newestOf(model))
  if (shape !== null) return known(shape, `shape: ${shape}, for the model is not here`)
  const name = shapeOfHubId(model)
  if (name !== null) return known(name, `${name}, by its name`)
  const advice = 'give its architecture with shape: NAME'
  return fail(
    'TypeError',
    'ERR_CONFIG',
    `[plan] model: expected one that is here or known by name, got "${model}"; ${advice}`,
  )
}

const known = (name: string, source: string): PlannedModel => ({ config: shapeConfig(name), source, tokenizer: null })

async function newestOf(model: string): Promise<string> {
  const checkpoints = join(model, 'checkpoints')
  if (!existsSync(checkpoints)) return model
  return (await latestCheckpoint(checkpoints)) ?? model
}

async function localModel(path: string): Promise<PlannedModel> {
  if (!statSync(path).isDirectory()) {
    const source = await openCheckpoint(path)
    try {
      const { config } = source
      return { config, source: path, tokenizer: source.tokenizer && new Tokenizer(source.tokenizer, config) }
    } finally {
      await source.dispose()
    }
  }
  const where = `[config] ${join(path, 'config.json')}`
  const text = await readFile(join(path, 'config.json'), 'utf8').catch((error: Error) =>
    fail('Error', 'ERR_IO', `[plan] expected a config.json in ${path}: ${error.message}`, error),
  )
  const config = configFromHuggingFace(parseJsonObject(text, where), null, where)
  const files = await readTokenizerFiles(path)
  return { config, source: join(path, 'config.json'), tokenizer: files && new Tokenizer(files, config) }
}

/** Tokens of prompts and replies of a data set, and how they were counted. */
export interface Measured {
  prompt: number
  /** Of each prompt that was counted. */
  prompts: readonly number[]
  /** Mean over the examples that have one; null where none has. */
  reply: number | null
  how: 'tokenizer' | 'characters'
}

const mostCounted = 2000
/** About what tokenizers of this size make of English and JSON. */
const charactersPerToken = 4

/** Counts tokens of up to 2,000 examples, evenly spread: by the model's tokenizer, or from characters where there is none. */
export function measureExamples(examples: readonly Example[], tokenizer: Tokenizer | null): Measured {
  const stride = Math.max(1, Math.ceil(examples.length / mostCounted))
  const sampled = examples.filter((_, i) => i % stride === 0)
  const prompts = sampled.map((example) => promptTokens(example, tokenizer))
  const replies = sampled.flatMap(({ reply }) => (reply === undefined ? [] : [textTokens(reply, tokenizer) + 1]))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    prompt: Math.round(mean(prompts)),
    prompts,
    reply: replies.length > 0 ? Math.round(mean(replies)) : null,
    how: tokenizer ? 'tokenizer' : 'characters',
  }
}

function promptTokens({ messages, tools }: Example, tokenizer: Tokenizer | null): number {
  if (tokenizer) {
    return tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true, ...(tools.length > 0 && { tools }) })
      .length
  }
  const listed = tools.length > 0 ? JSON.stringify(tools).length : 0
  const text = messages.reduce((sum, { content }) => sum + content.length, listed)
  // A template writes about four control tokens around a turn, and opens the answer.
  return Math.ceil(text / charactersPerToken) + 4 * messages.length + 3
}

const textTokens = (text: string, tokenizer: Tokenizer | null) =>
  tokenizer ? tokenizer.encodeText(text).length : Math.ceil(text.length / charactersPerToken)
