// `callgrad eval bfcl`: the Berkeley Function Calling Leaderboard's single-turn categories.

import type { Command } from 'commander'
import { type BenchmarkFlags, oneOf, pickNames, runBenchmark, withBenchmark } from './benchmark.js'

interface Flags extends BenchmarkFlags {
  version: string
}

const where = 'eval bfcl'

export function evalBfclCommand(parent: Command): void {
  const command = parent
    .command('bfcl')
    .description(
      "the Berkeley Function Calling Leaderboard: every single-turn category, judged by the leaderboard's own rules",
    )
    .option('--version <version>', 'v3 (the one of the paper) or v4', 'v4')
  withBenchmark(command, {
    folder: 'bfcl',
    files: 'the benchmark: question/ and possible_answer/',
    names: 'categories or groups (non_live, live, ast, python …), commas between',
  })
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad eval bfcl --model runs/grpo --data bfcl --version v3 --handler tool-n1
  $ callgrad eval bfcl --model SmolLM2-135M-Instruct.Q4_1.gguf --data bfcl --category live_simple,irrelevance --limit 50
  $ callgrad eval bfcl --endpoint https://api.openai.com/v1 --model gpt-4o --data bfcl --handler qwen-fc

Answers are stored as they come: a run that was stopped asks only what is missing when it is started again.
qwen-fc at an endpoint hands over the functions as native tools. Multi-turn and agentic categories are not covered: the
leaderboard's overall columns count them as 0. docs/evaluation.md has the rules and what the figures mean.`,
    )
    .action(evaluate)
}

async function evaluate(flags: Flags): Promise<void> {
  const { categories: all, categoryGroups, findCategory } = await import('../eval/bfcl/categories.js')
  const { handlers } = await import('../eval/tool-calls.js')
  const { aggregate, paperScores } = await import('../eval/bfcl/aggregate.js')
  const { loadBfcl } = await import('../eval/bfcl/dataset.js')
  const { evaluateBfcl } = await import('../eval/bfcl/evaluate.js')
  const { failuresOf } = await import('../eval/bfcl/failures.js')
  const { writeBfclFiles } = await import('../eval/bfcl/files.js')
  const { categoryRows, categoryTable, paperTable } = await import('../eval/bfcl/summary.js')
  const version = oneOf(where, '--version', flags.version, ['v3', 'v4'] as const)
  const handler = oneOf(where, '--handler', flags.handler ?? 'prompt', handlers)
  const categories = pickNames(where, flags.category, all, categoryGroups, findCategory, notCovered)
  const dataset = await loadBfcl(flags.data, { version, categories, ...(flags.strict && { strict: true }) })
  await runBenchmark(flags, {
    folder: 'bfcl',
    name: `BFCL ${version}`,
    handler,
    questions: dataset.questions,
    problems: dataset.problems.list,
    evaluate: (asker, asking) => evaluateBfcl(asker, dataset, { handler, ...asking }),
    write: writeBfclFiles,
    failures: failuresOf,
    summary: (report) => ({
      model: report.model,
      version,
      handler,
      categories: Object.fromEntries(categoryRows(report).map(({ name, ...row }) => [name, row])),
      paper: paperScores(report.counts, version),
      tables: aggregate(report.counts, version),
    }),
    tables: (report) => [categoryTable(report), paperTable(report)],
    notes: ['Single-turn categories only. Live of the paper’s own models is Live AST; see docs/evaluation.md.'],
  })
}

const notCovered = (name: string) =>
  /multi_turn|web_search|memory|format/.test(name) ? 'only single-turn categories are covered: ' : ''
