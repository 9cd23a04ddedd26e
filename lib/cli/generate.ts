// `callgrad generate`: an answer to one prompt, as it comes.

import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import type { Example, Message } from '../data/example.js'
import { fail } from '../errors.js'
import type { Model } from '../model.js'
import type { Rollout } from '../rollout/types.js'
import { type GenerateRun, parseGenerateRun } from '../train/config.js'
import { type ConfigOptions, settingsOf, withSettings } from './options.js'
import { dim, printable } from './ui/style.js'

interface Options extends ConfigOptions {
  model?: string
  prompt?: string
  system?: string
  tools?: string
  promptFormat: string
  raw?: boolean
  maxTokens?: number
  temperature?: number
  number?: number
  seed?: number
}

/** For commander: a number, or an error of usage. */
export function parseNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number')
  return value
}

export function generateCommand(program: Command): void {
  const command = program
    .command('generate')
    .description('answer a prompt')
    .requiredOption('-m, --model <model>', 'a Hugging Face folder, a run, a .gguf file or a hub id')
    .option('-p, --prompt <text>', 'what to answer; "-" or nothing reads standard input')
    .option('--system <text>', 'a system message before it')
    .option('--tools <file>', 'JSON list of functions that the model may call')
    .option(
      '--prompt-format <style>',
      'how tools are put before the model: tool-n1, tool-n1-no-reason or native',
      'tool-n1',
    )
    .option('--raw', 'the prompt is text to go on from: no chat template')
    .option('--max-tokens <n>', 'tokens an answer may have', parseNumber)
    .option('-t, --temperature <t>', '0 takes the likeliest token', parseNumber)
    .option('-n, --number <n>', 'answers to draw', parseNumber)
    .option('--seed <n>', 'seed of the sampling', parseNumber)
  withSettings(command)
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad generate --model SmolLM2-135M-Instruct.Q4_1.gguf --prompt "What is a tool call?"
  $ callgrad generate --model runs/grpo --tools tools.json --prompt "Is it raining in Lyon?"
  $ echo "Once upon a time" | callgrad generate --model M --raw -n 4 -t 0.8 --json`,
    )
    .action(generate)
}

async function generate(options: Options): Promise<void> {
  const run = parseGenerateRun(
    settingsOf(
      undefined,
      {
        model: options.model,
        maxCompletionLength: options.maxTokens,
        temperature: options.temperature,
        numGenerations: options.number,
        seed: options.seed,
      },
      options.set,
    ),
  )
  const text =
    options.prompt === undefined || options.prompt === '-' ? readFileSync(0, 'utf8').trimEnd() : options.prompt
  const { openModel } = await import('./inputs.js')
  const model = await openModel(run)
  try {
    const prompt = options.raw ? model.tokenizer.encode(text) : await chatPrompt(model, text, options)
    if (options.json) await printJson(model, prompt, run)
    else await printAnswers(model, prompt, run)
  } finally {
    model.dispose()
  }
}

async function chatPrompt(model: Model, text: string, { system, tools, promptFormat }: Options): Promise<number[]> {
  const { withPrompt } = await import('../data/sample.js')
  const { isPromptFormat, promptFormats } = await import('../text/prompts/formats.js')
  const { readTools } = await import('../data/formats/fields.js')
  const { parseJson } = await import('../text/json.js')
  if (!isPromptFormat(promptFormat)) {
    const expected = promptFormats.join(', ')
    fail('TypeError', 'ERR_CONFIG', `[generate] --prompt-format: expected ${expected}, got "${promptFormat}"`)
  }
  const messages: Message[] = [
    ...(system ? [{ role: 'system' as const, content: system }] : []),
    { role: 'user', content: text },
  ]
  let shaped: Pick<Example, 'messages' | 'tools'> = { messages, tools: [] }
  if (tools) {
    try {
      shaped = withPrompt(messages, readTools(parseJson(readFileSync(tools, 'utf8'))), promptFormat)
    } catch (error) {
      fail('TypeError', 'ERR_CONFIG', `[generate] --tools ${tools}: ${(error as Error).message}`, error)
    }
  }
  return model.tokenizer.applyChatTemplate(shaped.messages, {
    addGenerationPrompt: true,
    ...(shaped.tools.length > 0 && { tools: shaped.tools }),
  })
}

type Hooks = { onToken?: (prompt: number, sample: number, token: number, ended: boolean) => void }

function draw(model: Model, prompt: number[], run: GenerateRun, hooks: Hooks = {}): Promise<Rollout[]> {
  const { temperature, topK, topP, minP, seed, kvMemory } = run
  return model.engine.generate({
    prompts: [prompt],
    settings: {
      n: run.numGenerations,
      maxTokens: run.maxCompletionLength,
      temperature,
      topK,
      topP,
      minP,
      seed,
      step: 0,
      stop: model.config.eosTokenIds,
    },
    kvMemory,
    ...hooks,
  })
}

async function printJson(model: Model, prompt: number[], run: GenerateRun): Promise<void> {
  const { completionText } = await import('../rollout/text.js')
  const start = performance.now()
  const rollouts = await draw(model, prompt, run)
  const seconds = (performance.now() - start) / 1000
  const tokens = rollouts.reduce((sum, rollout) => sum + rollout.tokens.length, 0)
  const answers = rollouts.map((r) => ({
    text: completionText(model.tokenizer, r),
    tokens: r.tokens.length,
    logprob: r.logprobs.reduce((sum, value) => sum + value, 0),
    finishReason: r.finishReason,
  }))
  console.log(JSON.stringify({ answers, prompt_tokens: prompt.length, seconds, tok_s: tokens / seconds }))
}

/** A single answer appears as it is drawn; several appear one below the other. */
async function printAnswers(model: Model, prompt: number[], run: GenerateRun): Promise<void> {
  const { completionText, TextStreams } = await import('../rollout/text.js')
  const single = run.numGenerations === 1
  const streams = new TextStreams(model.tokenizer, model.config.eosTokenIds, (_prompt, _sample, text) => {
    process.stdout.write(printable(text))
  })
  const start = performance.now()
  const rollouts = await draw(
    model,
    prompt,
    run,
    single ? { onToken: (p, s, token, ended) => streams.push(p, s, token, ended) } : {},
  )
  if (single) process.stdout.write('\n')
  else
    for (const r of rollouts)
      console.log(`${dim(`[${r.sample + 1}]`)} ${printable(completionText(model.tokenizer, r))}`)
  const seconds = (performance.now() - start) / 1000
  const tokens = rollouts.reduce((sum, rollout) => sum + rollout.tokens.length, 0)
  const cut = rollouts.filter((r) => r.finishReason === 'length').length
  const note = cut > 0 ? `, ${single ? 'cut' : `${cut} cut`} at the limit` : ''
  process.stderr.write(`${dim(`${prompt.length} prompt tokens, ${tokens} drawn in ${seconds.toFixed(1)} s${note}`)}\n`)
}
