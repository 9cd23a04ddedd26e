// `--plan` and the figures that go with it.

import { type Command, InvalidArgumentError } from 'commander'
import { parseBytes } from '../../train/config/fields.js'
import { parseNumber } from '../generate.js'

export interface PlanFlags {
  plan?: boolean
  throughput?: number
  deviceMemory?: number
  examples?: number
  promptTokens?: number
  completionTokens?: number
}

export function withPlan(command: Command): Command {
  return command
    .option('--plan', 'check everything, print steps, tokens, memory and time, and end: needs no GPU and no weights')
    .option(
      '--throughput <tok/s>',
      'for --plan: tokens of a second of training, counted as num_tokens is',
      parsePositive,
    )
    .option('--device-memory <size>', 'for --plan: memory of the device, as 80GB; refuses what cannot fit', parseMemory)
    .option('--examples <n>', 'for --plan: examples, where the data is not here', parsePositive)
    .option('--prompt-tokens <n>', 'for --plan: tokens of a prompt, on average', parsePositive)
    .option('--completion-tokens <n>', 'for --plan: tokens of an answer, on average (default: 128)', parsePositive)
}

function parsePositive(text: string): number {
  const value = parseNumber(text)
  if (value > 0) return value
  throw new InvalidArgumentError('expected a number above 0')
}

function parseMemory(text: string): number {
  const bytes = parseBytes(text)
  if (bytes !== null) return bytes
  throw new InvalidArgumentError('expected bytes, or a text like 80GB or 79GiB')
}
