import { fail } from '../../errors.js'
import type { EndpointOptions } from './types.js'

/** Settings with defaults filled in. */
export interface EndpointSettings {
  /** Without a slash at the end. */
  url: string
  model: string
  apiKey: string | null
  timeout: number
  retries: number
  backoff: number
  body: Record<string, unknown>
}

/** Node's fetch gives up on a server that has sent no header, or no byte of the body, for this long. */
const mostSeconds = 300

/**
 * Checks and completes what describes an endpoint.
 *
 * An address with a user, a password or a query is refused without being repeated: keys travel there, and the address is shown and
 * stored.
 *
 * @throws TypeError or RangeError `ERR_CONFIG`
 */
export function endpointSettings(options: EndpointOptions): EndpointSettings {
  const { model, apiKey, timeout = mostSeconds, retries = 6, backoff = 1, body = {} } = options
  const url = baseUrl(options.url)
  const number = (ok: boolean, name: string, expected: string, got: number) => {
    if (!ok) fail('RangeError', 'ERR_CONFIG', `[endpoint] expected ${name} to be ${expected}, got ${got}`)
  }
  if (model.trim() === '') fail('TypeError', 'ERR_CONFIG', '[endpoint] expected the name of a model, got nothing')
  number(timeout > 0 && timeout <= mostSeconds, 'timeout', `above 0 and at most ${mostSeconds} seconds`, timeout)
  number(Number.isInteger(retries) && retries >= 0, 'retries', 'a whole number of at least 0', retries)
  number(Number.isFinite(backoff) && backoff >= 0, 'backoff', 'at least 0 seconds', backoff)
  const key = apiKey?.trim()
  // A header cannot hold it, and what fetch says about it would repeat it.
  if (key && /[^\x21-\x7e]/.test(key)) {
    fail('TypeError', 'ERR_CONFIG', '[endpoint] expected a key of visible ASCII characters, got others')
  }
  return { url, model, apiKey: key || null, timeout, retries, backoff, body }
}

function baseUrl(text: string): string {
  const bad = (got: string) =>
    fail('TypeError', 'ERR_CONFIG', `[endpoint] expected an address like http://localhost:8000/v1, got ${got}`)
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return bad('none that can be read')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return bad(`one of ${url.protocol.slice(0, -1)}`)
  if (url.username || url.password || url.search || url.hash) {
    return bad('one with a user, a query or a fragment; keys belong in the environment')
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}
