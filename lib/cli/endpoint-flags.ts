// Options of commands that ask a model behind an address.

import type { Command } from 'commander'
import { parseNumber } from './generate.js'

export interface EndpointFlags {
  endpoint?: string
  keyEnv?: string
  concurrency?: number
  timeout?: number
  retries?: number
  cache?: string | false
  body?: string
  priceIn?: number
  priceOut?: number
}

interface EndpointHelp {
  /** The command asks nothing else. */
  required?: boolean
  /** What `--cache` and `--no-cache` mean to the command. */
  cache?: string
  noCache?: string
}

/** `--endpoint` and what goes with it. */
export function withEndpoint(
  command: Command,
  {
    required = false,
    cache = 'where answers are stored (default at an endpoint: runs/answers/MODEL.jsonl)',
    noCache = 'store no answers',
  }: EndpointHelp = {},
): Command {
  const address = [
    '--endpoint <url>',
    'ask --model at this OpenAI-compatible address, as http://localhost:8000/v1',
  ] as const
  return (required ? command.requiredOption(...address) : command.option(...address))
    .option(
      '--key-env <name>',
      'environment variable that holds the key (default: OPENAI_API_KEY at api.openai.com, else CALLGRAD_API_KEY)',
    )
    .option('--concurrency <n>', 'requests under way at once (default: 8)', parseNumber)
    .option('--timeout <seconds>', 'seconds one attempt may take (default: 300)', parseNumber)
    .option('--retries <n>', 'attempts after the first where the server is busy or broken (default: 6)', parseNumber)
    .option('--cache <file>', cache)
    .option('--no-cache', noCache)
    .option('--body <json>', 'further keys of the request, as \'{"reasoning_effort": "low"}\'; null takes one out')
    .option('--price-in <p>', 'price of a million prompt tokens', parseNumber)
    .option('--price-out <p>', 'price of a million tokens of answers', parseNumber)
}
