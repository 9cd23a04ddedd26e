// `callgrad data select`: the questions of a GRPO run that its model answers rightly sometimes.

import type { Command } from 'commander'
import type { Sample } from '../../data/sample.js'
import { fail } from '../../errors.js'
import { type ConfigOptions, settingsOf, withSettings } from '../options.js'
import { dim } from '../ui/style.js'

interface Flags extends ConfigOptions {
  output: string
}

export function addSelect(data: Command): void {
  const command = data
    .command('select')
    .description('keep the questions of a GRPO run that its model answers rightly sometimes: the others teach nothing')
    .argument('<config>', 'what `callgrad train` reads: model, data, reward, limits and sampling are taken from it')
    .requiredOption('-o, --output <file>', 'where the records go; the counts go beside them, to FILE.counts')
  withSettings(command)
    .addHelpText(
      'after',
      `
Draws numGenerations replies to each question and keeps the records that some replies answer rightly (a reward above 0.5)
and some do not. Started again it draws only what is missing.

Examples:
  $ callgrad data select grpo.yaml -o teaching.jsonl
  $ callgrad data select grpo.yaml --set model=runs/sft-1 --set seed=1 --set numGenerations=16 -o teaching-1.jsonl`,
    )
    .action(select)
}

async function select(file: string, { output, set, json }: Flags): Promise<void> {
  const { parseTrainRun } = await import('../../train/config.js')
  const { fingerprintOf } = await import('../asker.js')
  const { underBar } = await import('../asking.js')
  const { openExamples } = await import('../examples.js')
  const { openModel, openRewards } = await import('../inputs.js')
  const { solveCounts, summarizeCounts } = await import('../../train/select.js')
  const { Progress } = await import('../ui/progress.js')
  const { checkOutputs } = await import('../../data/outputs.js')
  const { datasetFiles } = await import('../../data/source/files.js')
  const run = parseTrainRun(settingsOf(file, {}, set))
  checkOutputs([{ name: '--output', path: output }], await datasetFiles(run.dataset.path))
  const rewards = await openRewards(run.reward)
  const { examples } = await openExamples(run.dataset, run)
  const model = await openModel(run)
  const start = performance.now()
  try {
    const key = JSON.stringify([await fingerprintOf(model), run.reward, run.dataset, run.promptFormat])
    const keptOf = (counts: Parameters<typeof summarizeCounts>[0]) => summarizeCounts(counts, run.numGenerations)
    const counts = await underBar(
      {
        ...{ progress: new Progress(true), name: 'questions', total: examples.length, where: 'select' },
        stopping: 'this batch is counted first. Press Ctrl-C again to end at once.',
        beside: ({ kept }: { done: number; kept: number }) => `${kept} kept`,
      },
      ({ signal, onProgress }) =>
        solveCounts(model, examples, {
          ...{ rewards, settings: run, store: `${output}.counts`, key, signal },
          onProgress: (done, all) => onProgress({ done, kept: keptOf(all).kept.length }),
        }),
    )
    const { histogram, kept } = keptOf(counts)
    if (kept.length === 0) {
      const times = `answered rightly 0 to ${run.numGenerations} times: ${histogram.join(' ')}`
      fail('Error', 'ERR_DATA', `[select] expected questions that are answered rightly sometimes, got none; ${times}`)
    }
    await writeRecords(output, run.dataset, new Set(kept))
    const seconds = (performance.now() - start) / 1000
    const result = { asked: counts.length, tooLong: examples.length - counts.length, histogram, kept: kept.length }
    if (json) console.log(JSON.stringify({ ...result, seconds }))
    else print(result, output, seconds)
  } finally {
    model.dispose()
  }
}

interface Result {
  asked: number
  tooLong: number
  histogram: number[]
  kept: number
}

function print({ asked, tooLong, histogram, kept }: Result, output: string, seconds: number): void {
  console.log(`${kept} of ${asked} questions kept, in ${output}; ${tooLong} were too long to be asked`)
  console.log(`answered rightly 0 to ${histogram.length - 1} times: ${histogram.join(' ')}`)
  console.log(dim(`${seconds.toFixed(1)} s`))
}

/** The samples with these ids, as `data build` writes them, in the file's order. The file appears when it is whole. */
async function writeRecords(output: string, { path, format }: { path: string; format: string }, ids: Set<string>) {
  const { basename } = await import('node:path')
  const { SampleReader } = await import('../../data/reader.js')
  const { dataFormats, toLine } = await import('../../data/sample.js')
  const { datasetFiles } = await import('../../data/source/files.js')
  const { openSource } = await import('../../data/source/open.js')
  const { LineWriter } = await import('../../data/spool.js')
  const known = dataFormats.find((name) => name === format)
  const reader = new SampleReader({ ...(known && { format: known }), onProblem: () => undefined })
  const kept: Sample[] = []
  for (const file of await datasetFiles(path)) {
    for await (const { records } of (await openSource(file)).batches()) {
      for (const raw of records)
        kept.push(...reader.read(basename(file), raw).samples.filter((sample) => ids.has(sample.id)))
    }
  }
  const writer = new LineWriter(output)
  for (const sample of kept) writer.write(toLine(sample))
  writer.finish()
}
