import { codedError, fail } from '../../errors.js'
import { type RequestBody, requestBody, requestKey } from './body.js'
import { AnswerCache } from './cache.js'
import { EndpointClient } from './client.js'
import { UsageMeter } from './meter.js'
import { runPool } from './pool.js'
import { type EndpointSettings, endpointSettings } from './settings.js'
import { type WireTools, wireTools } from './tools.js'
import type { ChatAnswer, ChatRequest, EndpointOptions } from './types.js'

/** An answer, or why the endpoint will never give one to this request. */
export type Outcome = { answer: ChatAnswer; refusal: null } | { answer: null; refusal: string }

export interface AskProgress {
  /** Requests with an outcome, of `total`. */
  done: number
  total: number
}

export interface AskOptions {
  onProgress?: (progress: AskProgress) => void
  /** Nothing more is asked once it is aborted; what is under way ends and is stored. */
  signal?: AbortSignal
}

export interface OpenEndpointOptions extends EndpointOptions {
  /** File of stored answers; null or absent stores none. */
  cache?: string | null
  /** Requests under way at once. Default 8. */
  concurrency?: number
  /** Told of each repeat. */
  onRetry?: (reason: string, seconds: number) => void
}

/** So many requests in a row without an answer mean that there will be none. */
const mostUnanswered = 5

/**
 * A model behind an OpenAI-compatible address: asks, stores what was answered, and never asks again what is stored. Equal requests under
 * way at once are sent once. Close it when done.
 */
export class Endpoint {
  readonly meter = new UsageMeter()
  readonly settings: EndpointSettings
  readonly concurrency: number
  readonly #client: EndpointClient
  readonly #cache: AnswerCache | null
  readonly #underWay = new Map<string, Promise<Outcome>>()
  #unanswered = 0
  /** Why nothing more is asked. */
  #broken: Error | null = null

  /** @throws `ERR_CONFIG` for settings, `ERR_IO` for the file of answers */
  constructor({ cache = null, concurrency = 8, onRetry, ...options }: OpenEndpointOptions) {
    this.settings = endpointSettings(options)
    if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 1024)) {
      fail(
        'RangeError',
        'ERR_CONFIG',
        `[endpoint] expected concurrency to be a whole number from 1 to 1024, got ${concurrency}`,
      )
    }
    this.concurrency = concurrency
    this.#client = new EndpointClient(this.settings, (reason, seconds) => {
      this.meter.retried()
      onRetry?.(reason, seconds)
    })
    this.#cache = cache === null ? null : new AnswerCache(cache)
  }

  /** Answers in the file, and lines in it that are none. */
  get stored(): { answers: number; unreadable: number } {
    return { answers: this.#cache?.size ?? 0, unreadable: this.#cache?.unreadable ?? 0 }
  }

  /**
   * The outcome of one request, from the file where it holds it.
   *
   * @throws Error `ERR_UNANSWERED` where attempts ran out, `ERR_ENDPOINT` where asking is of no use any more; the signal's reason
   */
  async ask(request: ChatRequest, signal?: AbortSignal): Promise<Outcome> {
    const wire = wireTools(request.tools)
    const outcome = await this.#outcome(request, requestBody(request, this.settings, wire), signal)
    return outcome.answer ? { ...outcome, answer: withOwnNames(outcome.answer, wire) } : outcome
  }

  async #outcome(request: ChatRequest, body: RequestBody, signal?: AbortSignal): Promise<Outcome> {
    const key = requestKey(body, this.settings, request.sample)
    const stored = this.#cache?.get(key)
    if (stored) {
      this.meter.add(stored, 'stored')
      return { answer: stored, refusal: null }
    }
    const before = this.#underWay.get(key)
    if (before) return before
    const asked = this.#askServer(key, body, signal).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, asked)
    return asked
  }

  /**
   * Outcomes of many requests, in their order.
   *
   * @throws Error `ERR_UNANSWERED` once all others are answered and stored, `ERR_ENDPOINT` at once; the signal's reason
   */
  async askAll(requests: readonly ChatRequest[], { onProgress, signal }: AskOptions = {}): Promise<Outcome[]> {
    const total = requests.length
    const unanswered: Error[] = []
    let done = 0
    const outcomes = await runPool(
      requests,
      this.concurrency,
      async (request) => {
        const outcome = await this.ask(request, signal).catch((error: Error) => {
          if ((error as { code?: string }).code !== 'ERR_UNANSWERED') throw error
          unanswered.push(error)
          return null
        })
        onProgress?.({ done: ++done, total })
        return outcome
      },
      signal,
    )
    if (unanswered.length > 0) throw unansweredError(unanswered, total)
    return outcomes as Outcome[]
  }

  close(): void {
    this.#cache?.close()
  }

  async #askServer(key: string, body: RequestBody, signal?: AbortSignal): Promise<Outcome> {
    if (this.#broken) throw this.#broken
    try {
      const answer = await this.#client.complete(body, signal)
      this.#unanswered = 0
      this.#cache?.put(key, answer)
      this.meter.add(answer, 'asked')
      return { answer, refusal: null }
    } catch (error) {
      const { code, message } = error as Error & { code?: string }
      if (code === 'ERR_REFUSED') {
        this.#unanswered = 0
        return { answer: null, refusal: message }
      }
      if (code === 'ERR_ENDPOINT') this.#broken = error as Error
      if (code === 'ERR_UNANSWERED' && ++this.#unanswered >= mostUnanswered) {
        this.#broken ??= codedError(
          'Error',
          'ERR_ENDPOINT',
          `${message}; ${mostUnanswered} requests in a row had no answer`,
        )
        throw this.#broken
      }
      throw error
    }
  }
}

/** An answer whose calls name tools as the request did. */
function withOwnNames(answer: ChatAnswer, { ownName }: WireTools): ChatAnswer {
  const toolCalls = answer.toolCalls.map((call) => ({ ...call, name: ownName(call.name) }))
  return { ...answer, toolCalls }
}

/** One error for requests that stayed without an answer. */
export function unansweredError(errors: readonly Error[], total: number): Error {
  const again = 'the others are stored: the same command asks for the rest'
  const first = errors[0]?.message ?? ''
  return codedError('Error', 'ERR_UNANSWERED', `${first}; ${errors.length} of ${total} requests stay open, ${again}`)
}
