import type { Endpoint, Outcome } from '../rollout/endpoint/endpoint.js'
import { unansweredError } from '../rollout/endpoint/endpoint.js'
import { runPool } from '../rollout/endpoint/pool.js'
import type { ChatRequest } from '../rollout/endpoint/types.js'
import type { Answer, Asker, AskOptions, Question } from './asker.js'

export interface EndpointAskerOptions {
  /** Most tokens of an answer. Default 1024. */
  maxTokens?: number
  /** Default 0. */
  temperature?: number
  topP?: number
  topK?: number
  minP?: number
  /** Sent where given; not every server takes it. */
  seed?: number
}

/**
 * Asks a model behind an address. Conversations go as messages, tools as native ones; prompts whose bytes a benchmark fixes cannot be
 * sent this way and are passed over for the messages.
 */
export class EndpointAsker implements Asker {
  readonly name: string
  readonly settings: string
  readonly #sampling: Omit<ChatRequest, 'messages' | 'tools'>

  constructor(
    private readonly endpoint: Endpoint,
    options: EndpointAskerOptions = {},
  ) {
    const { url, model, body } = endpoint.settings
    this.#sampling = { maxTokens: 1024, temperature: 0, ...options }
    this.name = model
    this.settings = JSON.stringify({ url, model, body, ...this.#sampling })
  }

  /** Adds the answers to what the endpoint has stored. A prompt of no token is one that the server did not count. */
  recall(answers: readonly Answer[]): void {
    for (const { promptTokens, completionTokens } of answers) {
      this.endpoint.meter.add({ usage: promptTokens > 0 ? { promptTokens, completionTokens } : null }, 'stored')
    }
  }

  /**
   * @throws Error `ERR_UNANSWERED` where questions stay open, once all others have their answer; `ERR_ENDPOINT` where asking is of no
   *   use; the signal's reason
   */
  async ask(questions: readonly Question[], { onAnswer, onProgress, signal }: AskOptions): Promise<void> {
    const { endpoint } = this
    const start = performance.now()
    const unanswered: Error[] = []
    let [done, tokens] = [0, 0]
    await runPool(
      questions,
      endpoint.concurrency,
      async ({ id, messages, tools = [] }) => {
        const from = performance.now()
        try {
          const outcome = await endpoint.ask({ messages, tools, ...this.#sampling }, signal)
          const answer = answerOf(id, outcome, (performance.now() - from) / 1000)
          tokens += answer.completionTokens
          onAnswer(answer)
        } catch (error) {
          if ((error as { code?: string }).code !== 'ERR_UNANSWERED') throw error
          unanswered.push(error as Error)
        }
        const seconds = (performance.now() - start) / 1000
        onProgress?.({ done: ++done, total: questions.length, tokensPerSecond: tokens / Math.max(seconds, 1e-3) })
      },
      signal,
    )
    if (unanswered.length > 0) throw unansweredError(unanswered, questions.length)
  }
}

function answerOf(id: string, { answer, refusal }: Outcome, seconds: number): Answer {
  if (!answer) {
    const none = { id, text: '', promptTokens: 0, completionTokens: 0, seconds }
    return { ...none, finishReason: 'error', error: refusal }
  }
  const { content, toolCalls, usage, finishReason } = answer
  return {
    id,
    text: content,
    ...(toolCalls.length > 0 && { calls: toolCalls }),
    promptTokens: usage?.promptTokens ?? 0,
    completionTokens: usage?.completionTokens ?? 0,
    seconds,
    finishReason: finishReason === 'filtered' ? 'content_filter' : finishReason,
  }
}
