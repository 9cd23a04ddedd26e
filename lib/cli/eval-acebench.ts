// `callgrad eval acebench`: ACEBench's normal and special categories, English.

import type { Command } from 'commander'
import { type BenchmarkFlags, oneOf, pickNames, runBenchmark, withBenchmark } from './benchmark.js'

interface Flags extends BenchmarkFlags {
  version: string
}

const where = 'eval acebench'

export function evalAceBenchCommand(parent: Command): void {
  const command = parent
    .command('acebench')
    .description('ACEBench: its normal and special categories in English, judged by its own rules')
    .option('--version <version>', 'head (October 2025) or 2504 (April 2025, the time of Tool-N1)', 'head')
  withBenchmark(command, { folder: 'acebench' })
    .addHelpText(
      'after',
      `
Groups: normal, special, atom, single_turn, multi_turn, tool-n1 (the eight categories of the paper).

Examples:
  $ callgrad eval acebench --model runs/grpo --data acebench --category tool-n1 --handler tool-n1
  $ callgrad eval acebench --endpoint http://localhost:8000/v1 --model Qwen/Qwen2.5-7B-Instruct --data acebench

Every answer is judged by both versions' code; --version says which one leads and whose rows of data are used. Agent categories need a
simulated user and are not covered. docs/evaluation.md has the rules and what the figures mean.`,
    )
    .action(evaluate)
}

async function evaluate(flags: Flags): Promise<void> {
  const { categories: all, groups, versions } = await import('../eval/acebench/categories.js')
  const { handlers } = await import('../eval/tool-calls.js')
  const { loadAceBench } = await import('../eval/acebench/dataset.js')
  const { evaluateAceBench } = await import('../eval/acebench/evaluate.js')
  const { writeAceFiles } = await import('../eval/acebench/files.js')
  const { categoryRows, categoryTable, failuresOf, paperTable } = await import('../eval/acebench/summary.js')
  const version = oneOf(where, '--version', flags.version, versions)
  const handler = oneOf(where, '--handler', flags.handler ?? 'prompt', handlers)
  const categories = pickNames(where, flags.category, all, groups)
  const dataset = await loadAceBench(flags.data, { version, categories, ...(flags.strict && { strict: true }) })
  const warnings = [
    version === '2504' && !dataset.overridden
      ? "No v2504_overrides.json here: the rows are taken to be those of April's files already."
      : '',
    handler !== 'prompt' && categories.some((category) => category.startsWith('special'))
      ? 'Special categories ask for sentences that only the official prompt dictates: --handler prompt measures them.'
      : '',
    'Agent categories are not covered; the official overall figure counts them as 0. Multi-turn counts whole dialogues.',
  ]
  await runBenchmark(flags, {
    folder: 'acebench',
    name: `ACEBench ${version}`,
    handler,
    questions: dataset.questions,
    problems: dataset.problems.list,
    evaluate: (asker, asking) => evaluateAceBench(asker, dataset, { handler, ...asking }),
    write: writeAceFiles,
    failures: failuresOf,
    summary: (report) => ({
      model: report.model,
      version,
      handler,
      categories: Object.fromEntries(categoryRows(report).map(({ name, ...row }) => [name, row])),
      summary: report.summary,
    }),
    tables: (report) => [categoryTable(report), paperTable(report)],
    notes: warnings.filter((line) => line !== ''),
  })
}
