// `callgrad distill`: a teacher at an endpoint writes what `callgrad sft` learns from.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { DistillStats, Lesson } from '../rollout/distill/distill.js'
import type { RejectionReason } from '../rollout/distill/judge.js'
import { parseDistillRun } from '../train/config.js'
import { type EndpointFlags, withEndpoint } from './endpoint-flags.js'
import { parseNumber } from './generate.js'
import { type ConfigOptions, settingsOf, withSettings } from './options.js'
import { percent } from './ui/format.js'
import { dim, printable } from './ui/style.js'
import { table } from './ui/table.js'

interface Options extends ConfigOptions, EndpointFlags {
  endpoint: string
  model: string
  data: string
  output: string
  rejected?: string
  form?: string
  tries?: number
  promptFormat?: string
  maxTokens?: number
  temperature?: number
  limit?: number
  singleTurn?: boolean
}

export function distillCommand(program: Command): void {
  const command = program
    .command('distill')
    .description('let a teacher answer a data set, keep what is right, write it as data for sft')
    .requiredOption('-m, --model <name>', "the teacher's name at --endpoint")
    .requiredOption('-d, --data <file>', 'questions with their right calls')
    .requiredOption(
      '-o, --output <file>',
      'where kept examples go, one JSON line each; statistics go to FILE.stats.json',
    )
    .option('--rejected <file>', 'where examples without a right answer go, with what was wrong with each try')
    .option('--form <form>', 'reason: thoughts and calls; no-reason: calls alone (default: reason)')
    .option('--tries <n>', 'answers asked for until one is right (default: 10)', parseNumber)
    .option('--prompt-format <style>', 'tool-n1, tool-n1-no-reason or native (default: tool-n1)')
    .option('--max-tokens <n>', 'tokens an answer may have (default: 4096)', parseNumber)
    .option('-t, --temperature <t>', 'sampling temperature (default: 0.7)', parseNumber)
    .option('--single-turn', 'only questions without turns before them, as Tool-N1 distilled')
    .option('--limit <n>', 'takes so many questions at most', parseNumber)
  withSettings(withEndpoint(command, { required: true }))
    .addHelpText(
      'after',
      `
Examples:
  $ CALLGRAD_API_KEY=… callgrad distill --endpoint https://api.deepseek.com/v1 --model deepseek-reasoner \\
      --data toolace.jsonl --output reason.jsonl --price-in 0.55 --price-out 2.19
  $ callgrad distill --endpoint http://localhost:8000/v1 --model M --data F --form no-reason --output calls.jsonl

An answer is kept where the reward is full: well formed, and exactly the right calls. Answers are stored as they come: after a Ctrl-C or a
crash the same command goes on, and another --form costs no second request.`,
    )
    .action(distillData)
}

async function distillData(options: Options): Promise<void> {
  const dataset = { path: options.data, ...(options.limit !== undefined && { limit: options.limit }) }
  const flags = {
    model: options.model,
    dataset,
    form: options.form,
    tries: options.tries,
    promptFormat: options.promptFormat,
    maxCompletionLength: options.maxTokens,
    temperature: options.temperature,
  }
  const run = parseDistillRun(settingsOf(undefined, flags, options.set))
  const { asking, describeUsage, openEndpoint, usageOf } = await import('./endpoint.js')
  const { describeExamples, openExamples } = await import('./examples.js')
  const { linesWithReplies } = await import('../data/lessons.js')
  const { distill, distillStats } = await import('../rollout/distill/distill.js')
  const { Progress } = await import('./ui/progress.js')
  const data = await openExamples(run.dataset, run)
  const wanted = data.examples.filter((example) => !options.singleTurn || isSingleTurn(example))
  const examples = wanted.filter((example) => example.truth !== undefined)
  if (examples.length === 0)
    fail('Error', 'ERR_DATA', `[distill] expected examples with right calls, got none in ${options.data}`)
  const progress = new Progress(true)
  const endpoint = openEndpoint(run.model, options, (reason) => progress.line(dim(`  again: ${printable(reason)}`)))
  try {
    if (!options.json) console.log(dim(`${run.model} at ${endpoint.settings.url}; ${describeExamples(data)}`))
    const { form, tries, temperature, topP, seed, maxCompletionLength: maxTokens } = run
    const settings = { form, tries, temperature, topP, maxTokens, ...(seed !== null && { seed }) }
    const lessons = await asking(
      { name: 'examples', total: examples.length, endpoint, flags: options, progress },
      (ask) => distill(endpoint, examples, { ...settings, ...ask }),
    )
    const stats = distillStats(lessons)
    const usage = usageOf(endpoint, options)
    const report = { form, tries, temperature, ...stats, withoutTruth: wanted.length - examples.length }
    const { format } = run.dataset
    const kept = new Map(lessons.flatMap(({ id, reply }) => (reply === null ? [] : [[id, reply] as const])))
    const lines = await linesWithReplies(run.dataset.path, kept, format === 'auto' ? undefined : format)
    writeWhole(options.output, lines.map((line) => `${line}\n`).join(''))
    writeWhole(`${options.output}.stats.json`, `${JSON.stringify({ ...report, model: run.model }, null, 2)}\n`)
    if (options.rejected) writeWhole(options.rejected, rejectedLines(lessons))
    if (options.json) console.log(JSON.stringify({ ...report, usage }))
    else print(stats, await reasons(), `${options.output}; ${describeUsage(endpoint, options)}`)
  } finally {
    endpoint.close()
    progress.stop()
  }
}

/** Nothing but a system message and one question. */
const isSingleTurn = ({ messages }: Example) => messages.filter(({ role }) => role !== 'system').length === 1

function rejectedLines(lessons: readonly Lesson[]): string {
  return lessons
    .filter(({ reply }) => reply === null)
    .map(({ id, rejected }) => `${JSON.stringify({ id, rejected })}\n`)
    .join('')
}

/** A file is there whole or not at all. */
function writeWhole(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(`${file}.part`, text)
    renameSync(`${file}.part`, file)
  } catch (error) {
    fail('Error', 'ERR_IO', `[distill] cannot write ${file}: ${(error as Error).message}`, error)
  }
}

async function reasons(): Promise<Record<RejectionReason, string>> {
  return (await import('../rollout/distill/judge.js')).rejections
}

function print(stats: DistillStats, text: Record<RejectionReason, string>, note: string): void {
  const { examples, kept, keptByTry, answers, rejectedAnswers, rejectedExamples } = stats
  console.log(`\n  ${kept} of ${examples} examples kept (${percent(kept / examples)}), from ${answers} answers`)
  console.log(`  kept by try: ${keptByTry.map((count, i) => `${i + 1}: ${count}`).join(', ') || 'none'}\n`)
  const rows = (Object.keys(text) as RejectionReason[])
    .filter((reason) => rejectedAnswers[reason])
    .map((reason) => [text[reason], `${rejectedAnswers[reason]}`, `${rejectedExamples[reason] ?? 0}`])
  if (rows.length > 0) console.log(`${table(['rejected because', 'answers', 'examples left out'], rows)}\n`)
  console.log(dim(`  ${note}`))
}
