// `callgrad eval api-bank`: API-Bank's call and retrieve+call questions.

import type { Command } from 'commander'
import { type BenchmarkFlags, oneOf, pickNames, runBenchmark, withBenchmark } from './benchmark.js'

const where = 'eval api-bank'

export function evalApiBankCommand(parent: Command): void {
  const command = parent
    .command('api-bank')
    .description('API-Bank: call and retrieve+call, by the portable rule and by the official one')
  withBenchmark(command, { folder: 'api-bank' })
    .addHelpText(
      'after',
      `
Categories: call (level 1), retrieve+call (level 2).

Examples:
  $ callgrad eval api-bank --model runs/grpo --data apibank --category call --handler tool-n1
  $ callgrad eval api-bank --endpoint https://api.openai.com/v1 --model gpt-4o --data apibank

The portable rule wants the right name and exactly the right arguments. The official one is what API-Bank's executor and its checks would
say, without its databases. docs/evaluation.md has both and where they differ.`,
    )
    .action(evaluate)
}

async function evaluate(flags: BenchmarkFlags): Promise<void> {
  const { categories: all } = await import('../eval/apibank/types.js')
  const { handlers } = await import('../eval/tool-calls.js')
  const { loadApiBank } = await import('../eval/apibank/dataset.js')
  const { evaluateApiBank } = await import('../eval/apibank/evaluate.js')
  const { writeApiBankFiles } = await import('../eval/apibank/files.js')
  const { categoryTable, failuresOf, paperTable, rows } = await import('../eval/apibank/summary.js')
  const handler = oneOf(where, '--handler', flags.handler ?? 'prompt', handlers)
  const categories = pickNames(where, flags.category, all, {})
  const dataset = await loadApiBank(flags.data, { categories, ...(flags.strict && { strict: true }) })
  const known = [...dataset.questions.values()].flat().some(({ officialAccepts }) => officialAccepts !== null)
  await runBenchmark(flags, {
    folder: 'api-bank',
    name: 'API-Bank',
    handler,
    questions: dataset.questions,
    problems: dataset.problems.list,
    evaluate: (asker, asking) => evaluateApiBank(asker, dataset, { handler, ...asking }),
    write: writeApiBankFiles,
    failures: failuresOf,
    failing: ' are wrong by one rule at least',
    summary: (report) => ({
      model: report.model,
      handler,
      rows: Object.fromEntries(rows(report).map(({ name, ...row }) => [name, row])),
    }),
    tables: (report) => [categoryTable(report), paperTable(report)],
    notes: known
      ? []
      : ['Without gold.jsonl nothing is known of the databases: the official rule counts a few too many.'],
  })
}
