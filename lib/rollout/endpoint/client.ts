import type { OpenAI } from 'openai'
import { codedError } from '../../errors.js'
import { readAnswer } from './answer.js'
import type { RequestBody } from './body.js'
import { backoffSeconds, type Failure, Gate, kindOfStatus, mostRetryAfter, pause, retryAfterOf } from './retry.js'
import type { EndpointSettings } from './settings.js'
import type { ChatAnswer } from './types.js'

/** A longer body is no answer. */
const mostBytes = 32 << 20
/** Shorter keys are the stand-ins of servers that need none ("x", "none"), and occur in any text. */
const shortestSecret = 8

/**
 * Sends chat completions, one exchange at a time, through the `openai` client. That client's own repeats and logging are off: repeats
 * are made here, because an answer that cannot be read deserves one as well, and its log would hold prompts.
 */
export class EndpointClient {
  /** Loaded with the first request: a tenth of a second that other users of this package do not pay. */
  #library: Promise<Library> | null = null
  readonly #gate = new Gate()

  constructor(
    private readonly settings: EndpointSettings,
    private readonly onRetry: (reason: string, seconds: number) => void = () => {},
  ) {}

  /**
   * One answer, after as many attempts as the settings allow. A signal ends the waiting between attempts; an exchange that is under way
   * goes on to its end, for its answer is paid for.
   *
   * @throws Error `ERR_REFUSED` where this request will never be answered, `ERR_ENDPOINT` where no request will, `ERR_UNANSWERED` where
   *   attempts ran out; the signal's reason where it was aborted
   */
  async complete(body: RequestBody, signal?: AbortSignal): Promise<ChatAnswer> {
    const { retries, backoff, timeout } = this.settings
    const library = await (this.#library ??= openLibrary(this.settings, (text) => this.#redact(text)))
    for (let attempt = 1; ; attempt++) {
      await this.#gate.wait(signal)
      signal?.throwIfAborted()
      try {
        return await this.#exchange(body, library)
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        const failure = this.#failureOf(error, timeout, library)
        const spent = attempt > retries
        if (failure.kind !== 'again' || spent || (failure.retryAfter ?? 0) > mostRetryAfter) {
          throw this.#final(failure, attempt)
        }
        const seconds = failure.retryAfter ?? backoffSeconds(attempt, backoff, Math.random())
        this.onRetry(failure.reason, seconds)
        if (failure.retryAfter !== null) this.#gate.closeFor(seconds)
        else await pause(seconds, signal)
      }
    }
  }

  async #exchange(body: RequestBody, { openai }: Library): Promise<ChatAnswer> {
    const response = await openai.post('/chat/completions', { body }).asResponse()
    return readAnswer(await response.text())
  }

  #failureOf(error: unknown, timeout: number, { errors }: Library): Failure {
    const { APIConnectionError, APIConnectionTimeoutError, APIError } = errors
    const again = (reason: string): Failure => ({ kind: 'again', reason: this.#redact(reason), retryAfter: null })
    if (error instanceof APIConnectionTimeoutError) return again(`no answer within ${timeout} s`)
    if (error instanceof APIConnectionError) return again(`no connection: ${rootMessage(error)}`)
    if (error instanceof APIError && typeof error.status === 'number') {
      const { status, headers } = error
      const retryAfter = status === 429 || status === 503 ? retryAfterOf(headers) : null
      const reason = this.#redact(error.message).replace(/\s+/g, ' ').slice(0, 300)
      return { kind: kindOfStatus(status), reason: `status ${reason}`, retryAfter }
    }
    const { code, message } = error as { code?: string; message?: string }
    if (code === 'ERR_ANSWER') return again(String(message).replace('[endpoint] ', ''))
    throw error
  }

  /** The error of the last attempt. The client's own is not its cause: a server may have put the key into its text. */
  #final({ kind, reason, retryAfter }: Failure, attempts: number): Error {
    const { url, model } = this.settings
    const where = `[endpoint] ${url}, model ${model}`
    if (kind === 'fatal') return codedError('Error', 'ERR_ENDPOINT', `${where}: ${reason}`)
    if (kind === 'refused') return codedError('Error', 'ERR_REFUSED', `${where}: ${reason}`)
    const wait =
      retryAfter !== null && retryAfter > mostRetryAfter ? `; it asks to wait ${Math.round(retryAfter)} s` : ''
    const times = attempts === 1 ? '1 attempt' : `${attempts} attempts`
    return codedError('Error', 'ERR_UNANSWERED', `${where}: no answer after ${times}, at last ${reason}${wait}`)
  }

  #redact(text: string): string {
    const { apiKey } = this.settings
    return apiKey && apiKey.length >= shortestSecret ? text.replaceAll(apiKey, '[key]') : text
  }
}

interface Library {
  openai: OpenAI
  errors: Pick<typeof import('openai'), 'APIError' | 'APIConnectionError' | 'APIConnectionTimeoutError'>
}

async function openLibrary(settings: EndpointSettings, clean: (text: string) => string): Promise<Library> {
  const errors = await import('openai')
  const openai = new errors.OpenAI({
    baseURL: settings.url,
    apiKey: settings.apiKey ?? 'none',
    // Keys and names of OpenAI's in the environment are not for other servers.
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: settings.timeout * 1000,
    logLevel: 'off',
    fetch: boundedFetch(clean),
  })
  return { openai, errors }
}

/** What lies at the bottom: "fetch failed" has "connect ECONNREFUSED" as its cause. */
function rootMessage(error: Error): string {
  let root = error
  for (let depth = 0; root.cause instanceof Error && depth < 8; depth++) root = root.cause
  // A refused connection to a name with several addresses is an AggregateError without a message.
  return (root.message || (root as { code?: string }).code) ?? root.name
}

/**
 * fetch that has read the whole body when it returns, so that the client's time limit covers it, and no more of it than an answer can
 * have. `clean` takes out what no file may hold.
 */
function boundedFetch(clean: (text: string) => string): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, { ...init, redirect: 'manual' })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body ?? []) {
      size += (chunk as Uint8Array).length
      if (size > mostBytes) throw new Error(`a body of more than ${mostBytes} bytes`)
      chunks.push(chunk as Uint8Array)
    }
    const { status, statusText, headers } = response
    const text = clean(new TextDecoder().decode(Buffer.concat(chunks)))
    return new Response(status === 204 || status === 304 ? null : text, { status, statusText, headers })
  }
}
