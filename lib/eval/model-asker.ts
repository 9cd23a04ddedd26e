import { createHash } from 'node:crypto'
import type { Model } from '../model.js'
import type { GenerateRequest } from '../rollout/types.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Answer, Asker, AskOptions, PromptPart, Question } from './asker.js'

export interface ModelAskerOptions {
  /** What tables and files call the model. */
  name: string
  /** Tells its weights from others of the same name: stored answers belong to it. */
  fingerprint?: string
  /** Most tokens of an answer. Default 1024. */
  maxTokens?: number
  /** Default 0: the likeliest token. */
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  seed?: number
  /** Bytes for keys and values. Default 1 GiB. */
  kvMemory?: number
}

/** What asking needs of a model; `Model` has it. */
export type AskedModel = Pick<Model, 'tokenizer' | 'engine' | 'config'>

/**
 * Asks the model in this process. All questions are one request to the rollout engine: it decodes as many as fit into memory together,
 * takes the next as one ends, and a question's answer depends on nothing but the question, the settings and its id.
 */
export class ModelAsker implements Asker {
  readonly name: string
  readonly settings: string
  readonly #model: AskedModel
  readonly #options: Required<ModelAskerOptions>

  constructor(model: AskedModel, options: ModelAskerOptions) {
    const defaults = {
      fingerprint: '',
      maxTokens: 1024,
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      seed: 0,
      kvMemory: 2 ** 30,
    }
    this.#model = model
    this.#options = { ...defaults, ...options }
    this.name = options.name
    const { kvMemory: _, ...fixed } = this.#options // memory never changes an answer
    this.settings = JSON.stringify(fixed)
  }

  async ask(questions: readonly Question[], { onAnswer, onProgress, signal }: AskOptions): Promise<void> {
    const { tokenizer, config, engine } = this.#model
    const { maxTokens, kvMemory, name: _name, fingerprint: _print, ...sampling } = this.#options
    const asked: { id: string; prompt: number[] }[] = []
    for (const question of questions) {
      const made = this.#prompt(question)
      if (typeof made === 'string') onAnswer(refused(question.id, made))
      else asked.push({ id: question.id, prompt: made })
    }
    if (asked.length === 0) return
    asked.sort((a, b) => compareTokens(a.prompt, b.prompt)) // prompts that begin alike share their beginning in the cache
    const start = performance.now()
    const drawn = asked.map((): number[] => [])
    const request: GenerateRequest = {
      prompts: asked.map(({ prompt }) => prompt),
      promptIds: asked.map(({ id }) => numberOf(id)),
      kvMemory,
      settings: { ...sampling, maxTokens, n: 1, step: 0, stop: [...config.eosTokenIds] },
      onToken: (index, _sample, token, ended) => {
        const tokens = drawn[index]!
        tokens.push(token)
        if (!ended) return
        const { id, prompt } = asked[index]!
        onAnswer({ id, ...this.#reply(tokenizer, tokens), promptTokens: prompt.length, seconds: since(start) })
        drawn[index] = []
      },
      ...(onProgress && { onProgress }),
      ...(signal && { signal }),
    }
    await engine.generate(request)
  }

  #reply(tokenizer: Tokenizer, tokens: readonly number[]): Pick<Answer, 'text' | 'completionTokens' | 'finishReason'> {
    const stopped = this.#model.config.eosTokenIds.includes(tokens.at(-1)!)
    return {
      text: tokenizer.decode(stopped ? tokens.slice(0, -1) : tokens),
      completionTokens: tokens.length,
      finishReason: stopped ? 'stop' : 'length',
    }
  }

  /** Tokens, or why the question cannot be asked. */
  #prompt({ messages, tools, prompt }: Question): number[] | string {
    const { tokenizer, config } = this.#model
    try {
      const tokens =
        (prompt && encodeParts(tokenizer, prompt)) ??
        tokenizer.applyChatTemplate(messages, {
          addGenerationPrompt: true,
          ...(tools && tools.length > 0 && { tools }),
        })
      const room = config.maxPositionEmbeddings - this.#options.maxTokens
      if (tokens.length <= room) return tokens
      return `the prompt has ${tokens.length} tokens, the model takes ${room} with ${this.#options.maxTokens} left for the answer`
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_TEMPLATE') throw error
      return (error as Error).message
    }
  }
}

/**
 * Tokens of a prompt whose bytes are fixed, or null where the model lacks one of its control tokens. Neighbouring parts of text are
 * encoded as one, so that tokens may span them.
 */
export function encodeParts(tokenizer: Tokenizer, parts: readonly PromptPart[]): number[] | null {
  const tokens: number[] = []
  let text = ''
  const flush = () => {
    if (text !== '') tokens.push(...tokenizer.encodeText(text))
    text = ''
  }
  for (const part of parts) {
    if (!part.control) {
      text += part.text
      continue
    }
    flush()
    const token = tokenizer.specialTokens.get(part.text)
    if (token === undefined) return null
    tokens.push(token)
  }
  flush()
  return tokens
}

function compareTokens(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}

const since = (start: number) => (performance.now() - start) / 1000

function refused(id: string, error: string): Answer {
  return { id, text: '', promptTokens: 0, completionTokens: 0, seconds: 0, finishReason: 'error', error }
}

/** An id as the number that keys its random draws: the same whichever other questions are asked. */
function numberOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32LE(0) & 0x7fffffff
}
