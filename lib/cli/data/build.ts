// `callgrad data build`: a data set out of files.

import { extname } from 'node:path'
import type { Command } from 'commander'
import { buildDataset } from '../../data/build.js'
import { table1 } from '../../data/counts.js'
import { openLength, type PipelineFlags, parsePart, parseShare, pipelineOptions, withPipeline } from './options.js'
import { problemCounts, problemsText, readingBar, table1Text } from './report.js'

interface Flags extends PipelineFlags {
  output: string
  split?: number
  testOutput?: string
  part?: [number, number]
  shuffle?: boolean
  dropped?: string
  json?: boolean
}

export function addBuild(data: Command): void {
  const command = data
    .command('build')
    .description('build a data set: read, filter, augment, split')
    .argument('<input...>', 'files (JSONL, JSON or parquet) or hub ids')
    .requiredOption('-o, --output <file>', 'the data set, JSONL')
    .option('--split <share>', 'this share of the records to --output, the others to --test-output', parseShare)
    .option('--test-output <file>', 'default: the output with .test before its ending')
    .option('--part <part>', 'only a part of the records: 0.5, 0.5-1, 1/2', parsePart)
    .option('--shuffle', 'in random order instead of the order of the input')
    .option('--dropped <file>', 'list every record and turn that was left out, one JSON line each')
    .option('--json', 'print JSON')
  withPipeline(command)
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad data build Salesforce/xlam-function-calling-60k Team-ACE/ToolACE -o train.jsonl --split 0.9
  $ callgrad data build train.parquet -o half.jsonl --part 1/2 --seed 7 --check-arguments
  $ callgrad data build xlam.json -o train.jsonl --irrelevance --mask --max-prompt-tokens 4096 --model Qwen/Qwen2.5-7B-Instruct

The same input, options and seed give the same bytes. docs/data.md says what is read and what is left out.`,
    )
    .action(build)
}

async function build(inputs: string[], flags: Flags): Promise<void> {
  const { output, split, part, shuffle = false, dropped, json } = flags
  const options = pipelineOptions(flags, await openLength(flags.model))
  const bar = readingBar()
  try {
    const result = await buildDataset(inputs, {
      ...options,
      output,
      shuffle,
      ...(split !== undefined && { split: { share: split, output: flags.testOutput ?? testName(output) } }),
      ...(part && { part }),
      ...(dropped !== undefined && { dropped }),
      onProgress: bar.show,
    })
    bar.stop()
    const { counts, pipeline, files } = result
    if (json) {
      const table = table1(counts)
      const { records, samples } = counts
      console.log(JSON.stringify({ records, samples, ...problemCounts(pipeline.tally), table1: table, files }))
      return
    }
    const problems = problemsText(pipeline.tally, counts)
    console.log(table1Text(counts))
    if (problems !== '') console.log(`\n${problems}`)
    const whole = (value: number) => value.toLocaleString('en-US')
    for (const file of files)
      console.log(`\n  ${file.path}: ${whole(file.samples)} samples of ${whole(file.records)} records`)
    if (dropped === undefined && pipeline.tally.dropped > 0)
      console.log('\n  --dropped FILE lists what was left out, with file, line and reason')
  } finally {
    bar.stop()
  }
}

/** `train.jsonl` → `train.test.jsonl`. */
function testName(output: string): string {
  const ending = extname(output)
  return `${output.slice(0, output.length - ending.length)}.test${ending}`
}
