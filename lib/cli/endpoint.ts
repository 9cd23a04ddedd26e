// A model behind an address, as commands open it, ask it, and say what it has cost.

import { join } from 'node:path'
import { fail } from '../errors.js'
import { type AskOptions, Endpoint } from '../rollout/endpoint/endpoint.js'
import { costOf, type Tally } from '../rollout/endpoint/meter.js'
import { underBar } from './asking.js'
import type { EndpointFlags } from './endpoint-flags.js'
import type { Progress } from './ui/progress.js'

/** Opens the endpoint that the flags of a command describe; the key comes from the environment. */
export function openEndpoint(
  model: string,
  flags: EndpointFlags,
  onRetry?: (reason: string, seconds: number) => void,
): Endpoint {
  const { endpoint: url = '', concurrency, timeout, retries, cache } = flags
  return new Endpoint({
    url,
    model,
    apiKey: keyFor(url, flags.keyEnv),
    cache: cache === false ? null : (cache ?? join('runs/answers', `${model.replace(/[^\w.-]+/g, '-')}.jsonl`)),
    body: parseBody(flags.body),
    ...(concurrency !== undefined && { concurrency }),
    ...(timeout !== undefined && { timeout }),
    ...(retries !== undefined && { retries }),
    ...(onRetry && { onRetry }),
  })
}

/** OpenAI's key goes to OpenAI alone, unless `--key-env` says otherwise. */
function keyFor(url: string, name: string | undefined): string | undefined {
  // Someone may have given the key itself: what is no name is not repeated.
  if (name !== undefined && !/^[A-Z][A-Z0-9_]*$/.test(name)) {
    fail('TypeError', 'ERR_CONFIG', '[endpoint] --key-env: expected the name of an environment variable in capitals')
  }
  const openai = URL.canParse(url) && new URL(url).host === 'api.openai.com'
  const variable = name ?? (openai ? 'OPENAI_API_KEY' : 'CALLGRAD_API_KEY')
  const key = process.env[variable]?.trim()
  if (!key && (name !== undefined || openai)) {
    fail('TypeError', 'ERR_CONFIG', `[endpoint] expected a key in the environment variable ${variable}, got none`)
  }
  return key
}

function parseBody(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return fail('TypeError', 'ERR_CONFIG', `[endpoint] --body: expected JSON: ${(error as Error).message}`, error)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  return fail('TypeError', 'ERR_CONFIG', '[endpoint] --body: expected a JSON object')
}

/** Tokens and cost, for `--json`. */
export function usageOf({ meter, settings }: Endpoint, flags: EndpointFlags) {
  const { asked, stored, retries } = meter.totals
  const cost = (tally: Tally) => ({
    answers: tally.answers,
    prompt_tokens: tally.promptTokens,
    completion_tokens: tally.completionTokens,
    uncounted: tally.uncounted,
    ...(hasPrices(flags) && { cost: costOf(tally, pricesOf(flags)) }),
  })
  return { endpoint: settings.url, model: settings.model, retries, asked: cost(asked), stored: cost(stored) }
}

/** The same as one line: what was asked now, what came from the file. */
export function describeUsage({ meter }: Endpoint, flags: EndpointFlags): string {
  const { asked, stored, retries } = meter.totals
  const describe = (name: string, tally: Tally) => {
    const tokens = `${count(tally.promptTokens)} + ${count(tally.completionTokens)} tokens`
    const cost = hasPrices(flags) ? `, cost ${money(costOf(tally, pricesOf(flags)))}` : ''
    const missing = tally.uncounted > 0 ? `, ${count(tally.uncounted)} of them not counted by the server` : ''
    return `${count(tally.answers)} ${name} (${tokens}${cost}${missing})`
  }
  return [
    describe('asked', asked),
    ...(stored.answers > 0 ? [describe('stored before', stored)] : []),
    ...(retries > 0 ? [`${count(retries)} repeats`] : []),
  ].join(', ')
}

const count = (value: number) => value.toLocaleString('en-US')
const money = (value: number) => (value >= 1 ? value.toFixed(2) : value.toPrecision(2))
const hasPrices = ({ priceIn, priceOut }: EndpointFlags) => priceIn !== undefined || priceOut !== undefined
const pricesOf = ({ priceIn = 0, priceOut = 0 }: EndpointFlags) => ({ input: priceIn, output: priceOut })

/** Asks under a bar; on Ctrl-C what is under way ends and is stored first. */
export function asking<T>(
  {
    endpoint,
    flags,
    ...bar
  }: { name: string; total: number; endpoint: Endpoint; flags: EndpointFlags; progress: Progress },
  work: (options: Required<AskOptions>) => Promise<T>,
): Promise<T> {
  const stopping = 'requests that are under way end first. Press Ctrl-C again to end at once; what is stored stays.'
  return underBar({ ...bar, where: 'endpoint', stopping, beside: () => describeUsage(endpoint, flags) }, work)
}
