import type { Example, Message, Tool } from '../data/example.js'
import { fail } from '../errors.js'
import type { Variant } from '../reward/parse.js'
import { type EvalReport, type Reply, scoreReplies } from './exact-match.js'

/** What evaluation needs of a model; `Model` has it. */
export interface Answerer {
  tokenizer: {
    applyChatTemplate(messages: Message[], options: { tools?: Tool[]; addGenerationPrompt?: boolean }): number[]
    decode(tokens: number[], options?: { skipSpecialTokens?: boolean }): string
  }
  generate(options: GenerateOptions): Promise<GeneratedReply[]>
}

export interface GenerateOptions {
  prompts: number[][]
  n: number
  maxTokens: number
  temperature: number
  topK: number
  topP: number
  minP: number
  seed: number
  stop?: number[]
}

export interface GeneratedReply {
  prompt: number
  /** The stop token included where one ended the reply. */
  tokens: number[]
  finishReason: 'stop' | 'length'
}

export interface EvalSettings {
  /** Default `v0`: thought and exact calls. */
  variant?: Variant
  /** Default 512. */
  maxTokens?: number
  /** Default 0, greedy. */
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  /** Samples of a prompt. Default 1. */
  n?: number
  seed?: number
  /** Tokens that end a reply. Default: the model's end tokens. */
  stop?: readonly number[]
  /** Prompts longer than this are not asked and listed as skipped. Default: no limit. */
  maxPromptTokens?: number
  /** Examples generated for together. Default: all at once (the rollout engine bounds its own memory). */
  batch?: number
  onProgress?: (done: number, of: number) => void
}

/**
 * Asks a model every example of a data set and scores its replies. Examples without a truth, and prompts over the limit, are skipped and
 * listed. The result does not depend on `batch`.
 */
export async function evaluate(
  model: Answerer,
  dataset: { examples: readonly Example[] } | readonly Example[],
  settings: EvalSettings = {},
): Promise<EvalReport> {
  const all = 'examples' in dataset ? dataset.examples : dataset
  const { maxPromptTokens = Number.POSITIVE_INFINITY, batch = Number.POSITIVE_INFINITY } = settings
  if (!(batch >= 1)) fail('RangeError', 'ERR_CONFIG', `[eval] expected batch to be at least 1, got ${batch}`)
  const asked: { example: Example; prompt: number[] }[] = []
  const skipped: string[] = []
  for (const example of all) {
    const prompt = model.tokenizer.applyChatTemplate(example.messages, {
      ...(example.tools.length > 0 ? { tools: example.tools } : {}),
      addGenerationPrompt: true,
    })
    if (example.truth === undefined || prompt.length > maxPromptTokens) skipped.push(example.id)
    else asked.push({ example, prompt })
  }
  if (asked.length === 0) {
    fail(
      'Error',
      'ERR_DATA',
      `[eval] expected an example with a truth and a prompt within the limit, got none of ${all.length}`,
    )
  }
  const replies: Reply[] = []
  for (let from = 0; from < asked.length; from += batch) {
    const part = asked.slice(from, from + batch)
    const generated = await model.generate({ ...sampling(settings), prompts: part.map(({ prompt }) => prompt) })
    for (const { prompt, tokens, finishReason } of generated) {
      const example = part[prompt]?.example
      if (example === undefined) continue
      replies.push({ example, completion: text(model, tokens, finishReason), tokens: tokens.length, finishReason })
    }
    settings.onProgress?.(Math.min(from + batch, asked.length), asked.length)
  }
  return { ...scoreReplies(replies, settings.variant), skipped }
}

function sampling(settings: EvalSettings): Omit<GenerateOptions, 'prompts'> {
  const { n = 1, maxTokens = 512, temperature = 0, topK = 0, topP = 1, minP = 0, seed = 0, stop } = settings
  return { n, maxTokens, temperature, topK, topP, minP, seed, ...(stop ? { stop: [...stop] } : {}) }
}

/** The text of a reply, without the token that ended it. */
function text(model: Answerer, tokens: number[], finishReason: GeneratedReply['finishReason']): string {
  return model.tokenizer.decode(finishReason === 'stop' ? tokens.slice(0, -1) : tokens)
}
