// What `data build`, `stats` and `inspect` take alike: how records are read, filtered and augmented.

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Example } from '../../data/example.js'
import type { PipelineOptions } from '../../data/pipeline.js'
import { dataFormats, type PromptStyle } from '../../data/sample.js'
import { fail } from '../../errors.js'
import { promptFormats } from '../../text/prompts/formats.js'
import { parseNumber } from '../generate.js'

export interface PipelineFlags {
  format: 'auto' | (typeof dataFormats)[number]
  includeNoCall?: boolean
  keepUnknownTools?: boolean
  checkArguments?: boolean
  irrelevance?: number
  mask?: number
  maxPromptTokens?: number
  model?: string
  promptFormat: PromptStyle
  seed: number
  strict?: boolean
}

export function parseShare(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('expected a share between 0 and 1')
  return value
}

export function parseInteger(text: string): number {
  const value = parseNumber(text)
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number')
  return value
}

const partPattern = /^([1-9]\d*)\/([1-9]\d*)$/

/** "2/3" is the second of three equal parts; "0.25-0.5" goes from one fraction to another; "0.3" is 0 to 0.3. */
export function parsePart(text: string): [number, number] {
  const [, index, of] = partPattern.exec(text) ?? []
  const [from, to] = index && of ? [(Number(index) - 1) / Number(of), Number(index) / Number(of)] : fractions(text)
  if (!(from >= 0 && from < to && to <= 1))
    throw new InvalidArgumentError('expected a fraction such as 0.5, a range such as 0.5-1 or a part such as 1/2')
  return [from, to]
}

function fractions(text: string): [number, number] {
  const [low = '', high] = text.split('-')
  const number = (part: string) => (part.trim() === '' ? Number.NaN : Number(part))
  return high === undefined ? [0, number(low)] : [number(low), number(high)]
}

/** Filters and augmentations, `--seed`, `--strict`. */
export function withPipeline(command: Command): Command {
  return command
    .addOption(
      new Option('--format <format>', 'how records are written; auto looks at the keys of each')
        .choices(['auto', ...dataFormats])
        .default('auto'),
    )
    .option('--include-no-call', 'also learn from answers in words that to call nothing is right')
    .option('--keep-unknown-tools', 'keep calls of tools that are not in the list')
    .option('--check-arguments', "leave out calls whose arguments break the tool's own schema")
    .addOption(
      new Option('--irrelevance [share]', 'share of samples copied without the tools that answer them')
        .preset('0.15')
        .argParser(parseShare),
    )
    .addOption(
      new Option('--mask [share]', "share of samples whose tools get random names (Hammer's masking)")
        .preset('0.67')
        .argParser(parseShare),
    )
    .option('--max-prompt-tokens <n>', 'leave out longer prompts; needs --model', parseInteger)
    .option('-m, --model <model>', 'whose tokenizer and chat template count tokens')
    .addOption(
      new Option('--prompt-format <style>', 'the prompt whose tokens are counted')
        .choices(promptFormats)
        .default('tool-n1'),
    )
    .option('--seed <n>', 'of every random choice', parseInteger, 0)
    .option('--strict', 'the first record that cannot be read is an error')
}

/** Tokens of an example's prompt as a model counts them. */
export type LengthOf = (example: Example) => number

export async function openLength(model: string | undefined): Promise<LengthOf | null> {
  if (model === undefined) return null
  const { openTokenizer } = await import('../inputs.js')
  const tokenizer = await openTokenizer(model)
  return ({ messages, tools }) =>
    tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true, ...(tools.length > 0 && { tools }) }).length
}

export function pipelineOptions(flags: PipelineFlags, lengthOf: LengthOf | null): PipelineOptions {
  const { format, irrelevance, mask, maxPromptTokens: limit, promptFormat: prompt, seed } = flags
  if (limit !== undefined && lengthOf === null)
    fail('TypeError', 'ERR_CONFIG', '[data] --max-prompt-tokens: expected --model, whose tokenizer counts')
  return {
    seed,
    noCall: flags.includeNoCall ?? false,
    keepUnknownTools: flags.keepUnknownTools ?? false,
    checkArguments: flags.checkArguments ?? false,
    strict: flags.strict ?? false,
    ...(format !== 'auto' && { format }),
    ...(irrelevance !== undefined && { irrelevance }),
    ...(mask !== undefined && { mask }),
    ...(limit !== undefined && lengthOf && { maxPromptTokens: { limit, prompt, lengthOf } }),
  }
}
