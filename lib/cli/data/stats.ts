// `callgrad data stats`: what files hold, counted as `data build` would count it.

import type { Command } from 'commander'
import { Numbers, SourceCounts, table1 } from '../../data/counts.js'
import { nothingLeft } from '../../data/load.js'
import { checkOutputs } from '../../data/outputs.js'
import { Pipeline, runPipeline } from '../../data/pipeline.js'
import type { Problem } from '../../data/problems.js'
import { type PromptStyle, type Sample, toExample } from '../../data/sample.js'
import { datasetFiles } from '../../data/source/files.js'
import { LineWriter } from '../../data/spool.js'
import { pairs, table } from '../ui/table.js'
import { type LengthOf, openLength, type PipelineFlags, pipelineOptions, withPipeline } from './options.js'
import { problemCounts, problemsText, readingBar, table1Text } from './report.js'

interface Flags extends PipelineFlags {
  dropped?: string
  json?: boolean
}

export function addStats(data: Command): void {
  const command = data
    .command('stats')
    .description("count records, what is left out and why, tools, calls and, with --model, tokens; the paper's Table 1")
    .argument('<input...>', 'files (JSONL, JSON or parquet) or hub ids')
    .option('--dropped <file>', 'list every record and turn that was left out, one JSON line each')
    .option('--json', 'print JSON')
  withPipeline(command)
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad data stats train.jsonl
  $ callgrad data stats xlam.json toolace.json --check-arguments --dropped dropped.jsonl
  $ callgrad data stats train.jsonl --model SmolLM2-135M-Instruct.Q4_1.gguf`,
    )
    .action(stats)
}

/** What is counted about each sample. */
class SampleCounts {
  withCalls = 0
  severalCalls = 0
  withoutCall = 0
  withReply = 0
  readonly numbers: Record<string, Numbers> = {
    messages: new Numbers(),
    tools: new Numbers(),
    'right calls': new Numbers(),
    'question characters': new Numbers(),
  }

  constructor(
    private readonly lengthOf: LengthOf | null,
    private readonly prompt: PromptStyle,
  ) {
    if (lengthOf) this.numbers['prompt tokens'] = new Numbers()
  }

  add(sample: Sample): void {
    const { turns, tools, calls, reply } = sample
    if (calls && calls.length > 0) this.withCalls++
    if (calls && calls.length > 1) this.severalCalls++
    if (calls?.length === 0) this.withoutCall++
    if (reply !== undefined) this.withReply++
    const question = turns.findLast((turn) => turn.role === 'user')?.content.length ?? 0
    this.numbers.messages?.add(turns.length)
    this.numbers.tools?.add(tools.length)
    this.numbers['right calls']?.add(calls?.length ?? 0)
    this.numbers['question characters']?.add(question)
    if (this.lengthOf) this.numbers['prompt tokens']?.add(this.lengthOf(toExample(sample, this.prompt)))
  }
}

async function stats(inputs: string[], flags: Flags): Promise<void> {
  const lengthOf = await openLength(flags.model)
  const files = (await Promise.all(inputs.map((input) => datasetFiles(input)))).flat()
  if (flags.dropped !== undefined) checkOutputs([{ name: '--dropped', path: flags.dropped }], files)
  const writer = flags.dropped === undefined ? null : new LineWriter(flags.dropped)
  const bar = readingBar()
  let first: Problem | undefined
  try {
    const onProblem = (problem: Problem) => {
      first ??= problem
      writer?.write(JSON.stringify(problem))
    }
    const pipeline = new Pipeline({ ...pipelineOptions(flags, lengthOf), onProblem })
    const counts = new SourceCounts()
    const samples = new SampleCounts(lengthOf, flags.promptFormat)
    for await (const batch of runPipeline(files, pipeline, bar.show))
      for (const built of batch) {
        counts.add(built)
        for (const sample of built.samples) samples.add(sample)
      }
    bar.stop()
    if (counts.samples === 0) throw nothingLeft(files.join(', '), counts.records, first)
    writer?.finish()
    if (flags.json) printJson(counts, samples, pipeline)
    else print(counts, samples, pipeline)
  } finally {
    bar.stop()
    writer?.discard()
  }
}

function printJson(counts: SourceCounts, samples: SampleCounts, { tally }: Pipeline): void {
  const spreads = Object.entries(samples.numbers).map(([name, numbers]) => [name, numbers.spread()] as const)
  console.log(
    JSON.stringify({
      records: counts.records,
      samples: counts.samples,
      with_calls: samples.withCalls,
      with_several_calls: samples.severalCalls,
      without_call: samples.withoutCall,
      with_reply: samples.withReply,
      ...problemCounts(tally),
      table1: table1(counts),
      counts: Object.fromEntries(spreads),
    }),
  )
}

function print(counts: SourceCounts, samples: SampleCounts, { tally }: Pipeline): void {
  const whole = (value: number) => value.toLocaleString('en-US')
  console.log(
    pairs([
      ['records', whole(counts.records)],
      ['samples', whole(counts.samples)],
      ['with right calls', `${whole(samples.withCalls)}, with several ${whole(samples.severalCalls)}`],
      ['no call is right', whole(samples.withoutCall)],
      ['with a reply', whole(samples.withReply)],
    ]),
  )
  console.log(`\n${table1Text(counts)}`)
  const problems = problemsText(tally, counts)
  if (problems !== '') console.log(`\n${problems}`)
  const cells = Object.entries(samples.numbers).map(([name, numbers]) => {
    const { mean, ...others } = numbers.spread()
    return [name, mean.toFixed(1), ...[others.min, others.median, others.p95, others.max].map(whole)]
  })
  console.log(`\n${table(['per sample', 'mean', 'least', 'median', '95 of 100', 'most'], cells)}`)
}
