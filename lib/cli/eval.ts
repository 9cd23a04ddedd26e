// `callgrad eval`: how well a model calls tools, with intervals.

import type { Command } from 'commander'
import type { EvalReport } from '../eval/exact-match.js'
import type { Estimate } from '../eval/intervals.js'
import { asksForThought } from '../text/prompts/formats.js'
import { type EvalRun, parseEvalRun } from '../train/config.js'
import { type EndpointFlags, withEndpoint } from './endpoint-flags.js'
import { evalAceBenchCommand } from './eval-acebench.js'
import { evalApiBankCommand } from './eval-api-bank.js'
import { evalBfclCommand } from './eval-bfcl.js'
import { exitCodes } from './exit.js'
import { parseNumber } from './generate.js'
import { type ConfigOptions, settingsOf, withSettings } from './options.js'
import { percent } from './ui/format.js'
import { dim, printable } from './ui/style.js'
import { table } from './ui/table.js'

interface Options extends ConfigOptions, EndpointFlags {
  model?: string
  data?: string
  promptFormat?: string
  maxTokens?: number
  limit?: number
  output?: string
}

export function evalCommand(program: Command): void {
  const command = program
    .command('eval')
    .enablePositionalOptions()
    .description('ask a model the questions of a data set: exact match, format, names, length, with 95 % intervals')
    // required, but not where a benchmark below has its own: evaluateModel checks
    .option('-m, --model <model>', 'a Hugging Face folder, a run, a .gguf file, a hub id, or a name at --endpoint')
    .option('-d, --data <file>', 'questions with their right calls')
    .option('--prompt-format <style>', 'tool-n1, tool-n1-no-reason or native (default: tool-n1)')
    .option('--max-tokens <n>', 'tokens an answer may have', parseNumber)
    .option('--limit <n>', 'asks so many questions at most', parseNumber)
    .option('-o, --output <file>', 'where the answers go, one JSON line each')
  withSettings(withEndpoint(command))
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad eval --model SmolLM2-135M-Instruct.Q4_1.gguf --data dev.jsonl
  $ callgrad eval --model runs/grpo --data dev.jsonl --output answers.jsonl --json
  $ callgrad eval --endpoint https://api.openai.com/v1 --model gpt-4o --data dev.jsonl --price-in 2.5 --price-out 10

With --cache answers are stored as they come, and only what is missing is asked. Answers are greedy unless --set temperature=… says otherwise. Rates have Wilson's intervals, the length Student's.`,
    )
    .action(evaluateModel)
  evalBfclCommand(command)
  evalAceBenchCommand(command)
  evalApiBankCommand(command)
}

async function evaluateModel(options: Options, command: Command): Promise<void> {
  for (const flag of ['-m, --model <model>', '-d, --data <file>']) {
    if (options[flag.includes('model') ? 'model' : 'data'] === undefined) {
      command.error(`error: required option '${flag}' not specified`, {
        code: 'commander.missingMandatoryOptionValue',
        exitCode: exitCodes.usage,
      })
    }
  }
  const flags = { model: options.model, promptFormat: options.promptFormat, maxCompletionLength: options.maxTokens }
  const dataset = options.data && { path: options.data, ...(options.limit !== undefined && { limit: options.limit }) }
  const run = parseEvalRun(settingsOf(undefined, { ...flags, dataset }, options.set))
  if (options.endpoint !== undefined) return evaluateAtEndpoint(run, options)
  const { describeExamples, openExamples } = await import('./examples.js')
  const { openHere } = await import('./asker.js')
  const { AnswerStore } = await import('../eval/answer-store.js')
  const { evaluateAsked } = await import('../eval/asked.js')
  const { examples, report: data } = await openExamples(run.dataset, run)
  const opened = await openHere(run)
  const store = options.cache ? new AnswerStore(options.cache) : undefined
  try {
    if (!options.json) console.log(dim(`${opened.description}; ${describeExamples({ examples, report: data })}`))
    const start = performance.now()
    const variant = run.promptFormat === 'tool-n1-no-reason' ? 'v2' : 'v0'
    const report = await opened.asking(examples.length, (asking) =>
      evaluateAsked(opened.asker, examples, { variant, ...asking, ...(store && { store }) }),
    )
    const seconds = (performance.now() - start) / 1000
    if (options.output) await writeAnswers(options.output, report)
    if (options.json) console.log(JSON.stringify({ ...summary(report), seconds }))
    else print(report, seconds, options.output)
  } finally {
    store?.close()
    opened.close()
  }
}

async function evaluateAtEndpoint(run: EvalRun, options: Options): Promise<void> {
  const { asking, describeUsage, openEndpoint, usageOf } = await import('./endpoint.js')
  const { describeExamples, openExamples } = await import('./examples.js')
  const { evaluateEndpoint } = await import('../eval/endpoint.js')
  const { Progress } = await import('./ui/progress.js')
  const { examples, report: data } = await openExamples(run.dataset, run)
  const progress = new Progress(true)
  const endpoint = openEndpoint(run.model, options, (reason) => progress.line(dim(`  again: ${printable(reason)}`)))
  try {
    if (!options.json) {
      console.log(dim(`${run.model} at ${endpoint.settings.url}; ${describeExamples({ examples, report: data })}`))
    }
    const start = performance.now()
    const { maxCompletionLength: maxTokens, temperature, topP, topK, minP } = run
    // A native call has no place for a thought, nor has a prompt that asks for none: only the calls count.
    const variant = asksForThought(run.promptFormat) ? 'v0' : 'v2'
    const report = await asking(
      { name: 'answers', total: examples.length, endpoint, flags: options, progress },
      (ask) => evaluateEndpoint(endpoint, examples, { maxTokens, temperature, topP, topK, minP, variant, ...ask }),
    )
    const seconds = (performance.now() - start) / 1000
    if (options.output) await writeAnswers(options.output, report)
    const { refused, ...rates } = report
    if (options.json) {
      const usage = usageOf(endpoint, options)
      console.log(JSON.stringify({ ...summary(rates), refused: refused.length, variant, usage, seconds }))
      return
    }
    print(report, seconds, options.output)
    const first =
      refused[0] && `; ${refused.length} refused and counted as wrong, the first: ${printable(refused[0].reason)}`
    console.log(dim(`  ${describeUsage(endpoint, options)}${first ?? ''}`))
  } finally {
    endpoint.close()
    progress.stop()
  }
}

function summary({ replies: _, skipped, ...rates }: EvalReport) {
  return { ...rates, skipped: skipped.length }
}

function print(report: EvalReport, seconds: number, output: string | undefined): void {
  const share = (name: string, { value, low, high }: Estimate) => [
    name,
    percent(value),
    `${percent(low)} to ${percent(high)}`,
  ]
  const { value, low, high } = report.meanLength
  const rows = [
    share('exact match', report.exactMatch),
    share('right format', report.formatRate),
    share('right names', report.nameRate),
    share('no valid call', report.invalidToolCallRate),
    share('cut at the limit', report.clippedRate),
    ['tokens', value.toFixed(1), `${low.toFixed(1)} to ${high.toFixed(1)}`],
  ]
  console.log(`\n${table([`${report.samples} answers`, 'value', '95 % interval'], rows)}`)
  const notes = [
    `${seconds.toFixed(1)} s`,
    report.skipped.length > 0 &&
      `${report.skipped.length} skipped (no truth, or a prompt too long): ${report.skipped.slice(0, 3).join(', ')}${report.skipped.length > 3 ? ' …' : ''}`,
    output && `answers in ${output}`,
  ]
  console.log(dim(`\n  ${notes.filter(Boolean).join('; ')}`))
}

async function writeAnswers(file: string, { replies }: EvalReport): Promise<void> {
  const { writeText } = await import('../eval/output.js')
  writeText('eval', file, replies.map((reply) => `${JSON.stringify(reply)}\n`).join(''))
}
