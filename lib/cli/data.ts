// `callgrad data`: what a data set holds, and how a record looks to a model.

import type { Command } from 'commander'
import type { Example } from '../data/example.js'
import type { Dataset } from '../data/load.js'
import { fail } from '../errors.js'
import { parseWith } from '../train/config/check.js'
import { datasetSchema } from '../train/config/run.js'
import { applySettings } from './config-file.js'
import { describeExamples, openExamples, questionOf } from './examples.js'
import { parseNumber } from './generate.js'
import { bold, dim, printable, textWidth } from './ui/style.js'
import { fold, pairs, table } from './ui/table.js'

interface Options {
  set?: string[]
  promptFormat: 'tool-n1' | 'native'
  json?: boolean
  model?: string
  number?: number
  id?: string
}

const collect = (value: string, before: string[] = []) => [...before, value]

export function dataCommand(program: Command): void {
  const data = program
    .command('data')
    .description('look at a data set: its records, their sizes, what a model gets to see')
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad data inspect train.jsonl -n 2
  $ callgrad data stats train.jsonl --model SmolLM2-135M-Instruct.Q4_1.gguf
  $ callgrad data render train.jsonl --model M --id live_simple_3-3-0 --prompt-format native`,
    )
  const add = (name: string, description: string) =>
    data
      .command(name)
      .description(description)
      .argument('<file>', '.jsonl or .json: xLAM, ToolACE or plain messages')
      .option('--set <key=value>', 'a setting of the data set: format, seed, part, limit', collect)
      .option('--prompt-format <style>', 'tool-n1 or native', 'tool-n1')
      .option('--json', 'print JSON')
  add('inspect', 'show examples: question, tools, right calls')
    .option('-n, --number <n>', 'how many', parseNumber, 3)
    .option('--id <id>', 'one of this id')
    .action(inspect)
  add('stats', 'count records, tools, calls and, with --model, tokens')
    .option('-m, --model <model>', 'whose tokenizer counts')
    .action(stats)
  add('render', 'show the text and the tokens that a model gets for one example')
    .requiredOption('-m, --model <model>', 'whose chat template and tokenizer')
    .option('--id <id>', 'which example (default: the first)')
    .action(render)
}

async function open(file: string, { set, promptFormat }: Options): Promise<Dataset> {
  if (promptFormat !== 'tool-n1' && promptFormat !== 'native')
    fail('TypeError', 'ERR_CONFIG', `[data] --prompt-format: expected tool-n1 or native, got "${promptFormat}"`)
  return openExamples(parseWith(datasetSchema, applySettings({ path: file }, set ?? [])), { promptFormat })
}

function find({ examples }: Dataset, id: string | undefined): Example {
  const found = id === undefined ? examples[0] : examples.find((example) => example.id === id)
  return (
    found ??
    fail('Error', 'ERR_DATA', `[data] expected an example with id "${id}", found none among ${examples.length}`)
  )
}

async function inspect(file: string, options: Options): Promise<void> {
  const dataset = await open(file, options)
  const shown = options.id === undefined ? dataset.examples.slice(0, options.number) : [find(dataset, options.id)]
  if (options.json) {
    console.log(JSON.stringify({ report: dataset.report, examples: shown }))
    return
  }
  const width = textWidth()
  console.log(`${describeExamples(dataset)}\n`)
  for (const example of shown) {
    console.log(bold(example.id))
    for (const message of example.messages) {
      const content =
        message.role === 'system'
          ? `${message.content.slice(0, 300)} … ${message.content.length} characters`
          : message.content
      console.log(`  ${dim(message.role)}\n${fold(printable(content), width, '    ')}`)
    }
    if (example.truth !== undefined)
      console.log(`  ${dim('right calls')}\n${fold(printable(example.truth), width, '    ')}`)
    if (example.reply !== undefined) console.log(`  ${dim('reply')}\n${fold(printable(example.reply), width, '    ')}`)
    console.log('')
  }
}

/** Least, middle, 95th of a hundred and most of some counts. */
function spread(values: readonly number[]) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  const mean = sorted.reduce((sum, value) => sum + value, 0) / Math.max(1, sorted.length)
  return { mean, min: at(0), median: at(0.5), p95: at(0.95), max: at(1) }
}

async function stats(file: string, options: Options): Promise<void> {
  const dataset = await open(file, options)
  const { examples, report } = dataset
  const { parseJson } = await import('../text/json.js')
  const calls = examples.map(({ truth }) => {
    const value = truth === undefined ? [] : parseJson(truth)
    return Array.isArray(value) ? value.length : 0
  })
  const counts: Record<string, ReturnType<typeof spread>> = {
    messages: spread(examples.map((example) => example.messages.length)),
    'right calls': spread(calls),
    'question characters': spread(examples.map((example) => questionOf(example).length)),
  }
  if (options.model) {
    const { openTokenizer } = await import('./inputs.js')
    const tokenizer = await openTokenizer(options.model)
    const lengthOf = ({ messages, tools }: Example) =>
      tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true, ...(tools.length > 0 && { tools }) }).length
    counts['prompt tokens'] = spread(examples.map(lengthOf))
  }
  const withTruth = examples.filter((example) => example.truth !== undefined).length
  const withReply = examples.filter((example) => example.reply !== undefined).length
  if (options.json) {
    console.log(
      JSON.stringify({ ...report, examples: examples.length, with_truth: withTruth, with_reply: withReply, counts }),
    )
    return
  }
  console.log(
    pairs([
      ['records', `${report.records}`],
      ['examples', `${examples.length}`],
      ['with right calls', `${withTruth}`],
      ['with a reply', `${withReply}`],
      ['left out', `${report.problems.length}`],
    ]),
  )
  for (const problem of report.problems.slice(0, 10)) console.log(`  line ${problem.line}: ${problem.reason}`)
  const cells = Object.entries(counts).map(([name, s]) => [
    name,
    s.mean.toFixed(1),
    ...[s.min, s.median, s.p95, s.max].map((value) => value.toLocaleString('en-US')),
  ])
  console.log(`\n${table(['per example', 'mean', 'least', 'median', '95 of 100', 'most'], cells)}`)
}

async function render(file: string, options: Options): Promise<void> {
  const { messages, tools } = find(await open(file, options), options.id)
  const { openTokenizer } = await import('./inputs.js')
  const tokenizer = await openTokenizer(options.model!)
  const template = { addGenerationPrompt: true, ...(tools.length > 0 && { tools }) }
  const tokens = tokenizer.applyChatTemplate(messages, template)
  const text = tokenizer.renderChatTemplate(messages, template)
  if (options.json) console.log(JSON.stringify({ text, tokens }))
  else console.log(`${printable(text)}\n\n${dim(`${tokens.length} tokens`)}`)
}
