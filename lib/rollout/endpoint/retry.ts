import { setTimeout as sleep } from 'node:timers/promises'

/** What went wrong with one attempt. */
export interface Failure {
  /**
   * `again`: busy, broken or silent servers and answers that cannot be read; trying again may help. `refused`: this request will never
   * be answered. `fatal`: no request will, because of the address, the key or the model's name.
   */
  kind: 'again' | 'refused' | 'fatal'
  /** In words, without the key. */
  reason: string
  /** Seconds that the server asked to wait; null where it did not. */
  retryAfter: number | null
}

const mostBackoff = 60
/** A server that asks for more than this is not waited for. */
export const mostRetryAfter = 600

/** Sorts an HTTP status; 408 and 409 are timeouts and lock conflicts of the server's, a redirect means that the address is another. */
export function kindOfStatus(status: number): Failure['kind'] {
  if (status < 400) return 'fatal'
  if (status === 429 || status === 408 || status === 409 || status >= 500) return 'again'
  return status === 401 || status === 402 || status === 403 || status === 404 ? 'fatal' : 'refused'
}

/** Seconds of a Retry-After header: a number of them, or a date. Null where there is none that can be read. */
export function retryAfterOf(headers: Pick<Headers, 'get'> | undefined, now = Date.now()): number | null {
  const milliseconds = headers?.get('retry-after-ms')
  if (milliseconds && Number(milliseconds) >= 0) return Number(milliseconds) / 1000
  const text = headers?.get('retry-after')?.trim()
  if (!text) return null
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null
}

/** Seconds before attempt `attempt` (1 is the first repeat): doubling, at most a minute, up to a quarter less by `random` in [0, 1). */
export function backoffSeconds(attempt: number, first: number, random: number): number {
  return Math.min(mostBackoff, first * 2 ** (attempt - 1)) * (1 - random / 4)
}

/**
 * When the next attempt may start, for all requests of one endpoint: a server that says "too many requests, wait" to one of them means
 * all. Times are performance.now()'s.
 */
export class Gate {
  #opens = 0

  /** Nothing starts for so many seconds. */
  closeFor(seconds: number): void {
    this.#opens = Math.max(this.#opens, performance.now() + seconds * 1000)
  }

  async wait(signal?: AbortSignal): Promise<void> {
    for (let left = this.#opens - performance.now(); left > 0; left = this.#opens - performance.now()) {
      await pause(left / 1000, signal)
    }
  }
}

/** Waits so many seconds. @throws the signal's reason */
export async function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(seconds * 1000, undefined, signal && { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}
