import type { Message, Tool } from '../data/example.js'

/** Part of a prompt whose bytes a benchmark fixes. */
export interface PromptPart {
  text: string
  /** Spells control tokens that are meant as such. Everything else is text, whatever it spells. */
  control: boolean
}

/** A question in every form that some kind of model takes; an {@link Asker} picks the most exact one that it can use. */
export interface Question {
  /** Unique in an evaluation: answers are stored, resumed and reported by it. */
  id: string
  /** The conversation, for chat endpoints and for the model's own chat template. */
  messages: readonly Message[]
  /** Handed to the endpoint as native tools or to the chat template; absent where the messages' text lists the tools itself. */
  tools?: readonly Tool[]
  /**
   * The whole prompt up to where the answer begins, for models that take text. Used only where the model knows every control token in it,
   * else its chat template renders `messages` and `tools`.
   */
  prompt?: readonly PromptPart[]
}

/** A call as an endpoint reports it, beside the text. */
export interface NativeCall {
  name: string
  /** JSON text as the endpoint sent it: not parsed, perhaps not even JSON. */
  arguments: string
}

export interface Answer {
  id: string
  /** What the model wrote, without the token that ended it. */
  text: string
  /** Calls that the endpoint itself took out of the answer; absent where it has none of its own. */
  calls?: NativeCall[]
  promptTokens: number
  completionTokens: number
  /** From the request to the end of the answer; within a batch from the batch's start. */
  seconds: number
  /** `stop` or `length`, or what the endpoint said (`tool_calls`, `content_filter` …). */
  finishReason: string
  /** Why there is no answer: the prompt is too long, the endpoint refused. Then `text` is empty. */
  error?: string
}

export interface AskOptions {
  /**
   * Each answer once, as soon as it is whole, in any order. What it throws ends the evaluation. Synchronous, so that an answer is stored
   * before the next one is waited for.
   */
  onAnswer: (answer: Answer) => void
  onProgress?: (progress: AskProgress) => void
  signal?: AbortSignal
}

export interface AskProgress {
  done: number
  total: number
  tokensPerSecond: number
}

/** A model to evaluate: the weights in this process, or an endpoint. */
export interface Asker {
  /** What tables and files call the model. */
  readonly name: string
  /** Everything besides the question that an answer depends on (model, sampling, limits), as one line: stored answers go by it. */
  readonly settings: string
  /** Told of answers that an earlier run has stored and that are not asked again, where what they cost is counted. */
  recall?(answers: readonly Answer[]): void
  /**
   * Answers every question once, in whatever order is fastest. Questions that cannot be asked get an answer with `error`; the promise
   * rejects only where going on is pointless.
   */
  ask(questions: readonly Question[], options: AskOptions): Promise<void>
}
