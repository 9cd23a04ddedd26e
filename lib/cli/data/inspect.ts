// `callgrad data inspect` shows samples, or what was left out; `callgrad data render` shows what a model gets to see.

import type { Command } from 'commander'
import { SourceCounts } from '../../data/counts.js'
import type { Example } from '../../data/example.js'
import { type Built, Pipeline, runPipeline } from '../../data/pipeline.js'
import { isKept, kinds, type Problem } from '../../data/problems.js'
import { type PromptStyle, toExample } from '../../data/sample.js'
import { datasetFiles } from '../../data/source/files.js'
import { fail } from '../../errors.js'
import { printJson } from '../../text/json-print.js'
import { isPromptFormat, promptFormats } from '../../text/prompts/formats.js'
import { bold, dim, printable, textWidth } from '../ui/style.js'
import { fold } from '../ui/table.js'
import { openLength, type PipelineFlags, parseInteger, pipelineOptions, withPipeline } from './options.js'
import { leftOutText, place } from './report.js'

interface Flags extends PipelineFlags {
  number: number
  id?: string
  dropped?: string | boolean
  json?: boolean
}

export function addInspect(data: Command): void {
  const command = data
    .command('inspect')
    .description('show samples: question, tools, right calls; or, with --dropped, what was left out')
    .argument('<input...>', 'files (JSONL, JSON or parquet) or hub ids')
    .option('-n, --number <n>', 'how many', parseInteger, 3)
    .option('--id <id>', 'the one of this id')
    .option('--dropped [kind]', 'records that were left out, with their text; of one kind only')
    .option('--json', 'print JSON')
  withPipeline(command)
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad data inspect train.jsonl -n 2
  $ callgrad data inspect toolace.json --id toolace.json:17/2
  $ callgrad data inspect toolace.json --dropped unknown_tool -n 10`,
    )
    .action(inspect)
}

interface Dropped extends Problem {
  /** The record, as JSON text; absent where it is none. */
  record?: string
}

async function inspect(inputs: string[], flags: Flags): Promise<void> {
  const { number, id, dropped, promptFormat } = flags
  if (typeof dropped === 'string' && !Object.hasOwn(kinds, dropped))
    fail(
      'TypeError',
      'ERR_CONFIG',
      `[data] --dropped: expected one of ${Object.keys(kinds).join(', ')}, got "${dropped}"`,
    )
  const left: Dropped[] = []
  const problems: Problem[] = []
  const onProblem = (problem: Problem) => {
    if (problems.length < 1 && !isKept(problem.kind)) problems.push(problem)
    if (left.length < number && (dropped === true || problem.kind === dropped)) left.push(problem)
  }
  const pipeline = new Pipeline({ ...pipelineOptions(flags, await openLength(flags.model)), onProblem })
  const files = (await Promise.all(inputs.map((input) => datasetFiles(input)))).flat()
  const shown: Example[] = []
  const counts = new SourceCounts()
  const enough = () => (dropped ? left.length >= number : shown.length >= (id === undefined ? number : 1))
  for await (const batch of runPipeline(files, pipeline)) {
    for (const built of batch) {
      counts.add(built)
      for (const problem of left)
        if (problem.file === built.file && problem.line === built.raw.line) addText(problem, built)
      for (const sample of built.samples)
        if ((id === undefined || sample.id === id) && !enough()) shown.push(toExample(sample, promptFormat))
    }
    if (enough()) break
  }
  if (dropped) return showDropped(left, flags.json)
  if (id !== undefined && shown.length === 0)
    fail('Error', 'ERR_DATA', `[data] expected a sample with id "${id}", found none in ${counts.records} records`)
  if (flags.json)
    console.log(
      JSON.stringify({
        records: counts.records,
        dropped: Object.fromEntries(pipeline.tally.counts),
        examples: shown,
      }),
    )
  else showExamples(shown, counts, problems[0])
}

function addText(problem: Dropped, built: Built): void {
  try {
    problem.record = printJson(built.raw.read(), { ensureAscii: false })
  } catch {
    // What cannot be parsed has no text to show; its reason says why.
  }
}

function showDropped(left: readonly Dropped[], json: boolean | undefined): void {
  if (json) {
    console.log(JSON.stringify(left))
    return
  }
  if (left.length === 0) console.log('nothing was left out')
  for (const problem of left) {
    console.log(`${bold(place(problem))}  ${problem.kind}: ${printable(problem.reason)}`)
    if (problem.record !== undefined)
      console.log(
        fold(
          printable(`${problem.record.slice(0, 1000)}${problem.record.length > 1000 ? ' …' : ''}`),
          textWidth(),
          '    ',
        ),
      )
    console.log('')
  }
}

function showExamples(examples: readonly Example[], counts: SourceCounts, first: Problem | undefined): void {
  const width = textWidth()
  const count = `${examples.length.toLocaleString('en-US')} examples`
  const problem = first ? `; ${leftOutText(counts)}, the first at ${place(first)}: ${first.reason}` : ''
  console.log(`${count}${printable(problem)}\n`)
  for (const example of examples) {
    console.log(bold(printable(example.id)))
    for (const { role, content } of example.messages) {
      const long = role === 'system' && content.length > 400
      const text = long ? `${content.slice(0, 300)} … ${content.length} characters` : content
      console.log(`  ${dim(role)}\n${fold(printable(text), width, '    ')}`)
    }
    for (const tool of example.tools) console.log(`  ${dim('tool')} ${printable(tool.function.name)}`)
    if (example.truth !== undefined)
      console.log(`  ${dim('right calls')}\n${fold(printable(example.truth), width, '    ')}`)
    if (example.reply !== undefined) console.log(`  ${dim('reply')}\n${fold(printable(example.reply), width, '    ')}`)
    console.log('')
  }
}

interface RenderFlags {
  model: string
  id?: string
  promptFormat: PromptStyle
  includeNoCall?: boolean
  json?: boolean
}

export function addRender(data: Command): void {
  data
    .command('render')
    .description('show the text and the tokens that a model gets for one sample')
    .argument('<input>', 'a file (JSONL, JSON or parquet) or a hub id')
    .requiredOption('-m, --model <model>', 'whose chat template and tokenizer')
    .option('--id <id>', 'which sample (default: the first)')
    .option('--prompt-format <style>', 'tool-n1, tool-n1-no-reason or native', 'tool-n1')
    .option('--include-no-call', 'answers in words are samples, too; ids are then counted with them, as in inspect')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  $ callgrad data render train.jsonl --model M --id live_simple_3-3-0')
    .action(render)
}

async function render(input: string, flags: RenderFlags): Promise<void> {
  const { messages, tools } = await findExample(input, flags)
  const { openTokenizer } = await import('../inputs.js')
  const tokenizer = await openTokenizer(flags.model)
  const template = { addGenerationPrompt: true, ...(tools.length > 0 && { tools }) }
  const tokens = tokenizer.applyChatTemplate(messages, template)
  const text = tokenizer.renderChatTemplate(messages, template)
  if (flags.json) console.log(JSON.stringify({ text, tokens }))
  else console.log(`${printable(text)}\n\n${dim(`${tokens.length} tokens`)}`)
}

async function findExample(input: string, { id, promptFormat, includeNoCall = false }: RenderFlags): Promise<Example> {
  if (!isPromptFormat(promptFormat)) {
    const expected = promptFormats.join(', ')
    fail('TypeError', 'ERR_CONFIG', `[data] --prompt-format: expected ${expected}, got "${promptFormat}"`)
  }
  const pipeline = new Pipeline({ noCall: includeNoCall, keepUnknownTools: true })
  for await (const batch of runPipeline(await datasetFiles(input), pipeline))
    for (const { samples } of batch)
      for (const sample of samples) if (id === undefined || sample.id === id) return toExample(sample, promptFormat)
  return fail(
    'Error',
    'ERR_DATA',
    `[data] expected a sample${id === undefined ? '' : ` with id "${id}"`} in ${input}, found none${includeNoCall ? '' : ' (answers in words count with --include-no-call)'}`,
  )
}
