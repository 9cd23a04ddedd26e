// `callgrad eval bfcl`: the Berkeley Function Calling Leaderboard's single-turn categories.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { fail } from '../errors.js'
import type { Category } from '../eval/bfcl/categories.js'
import type { BfclReport } from '../eval/bfcl/evaluate.js'
import { type EndpointFlags, withEndpoint } from './endpoint-flags.js'
import { parseNumber } from './generate.js'
import { type ConfigOptions, withSettings } from './options.js'
import { duration } from './ui/format.js'
import { dim, printable, yellow } from './ui/style.js'

interface Options extends ConfigOptions, EndpointFlags {
  model: string
  data: string
  version: string
  handler?: string
  category?: string[]
  output?: string
  maxTokens?: number
  limit?: number
  strict?: boolean
}

const collect = (value: string, before: string[] = []) => [...before, ...value.split(',')]

export function evalBfclCommand(parent: Command): void {
  const command = parent
    .command('bfcl')
    .description(
      "the Berkeley Function Calling Leaderboard: every single-turn category, judged by the leaderboard's own rules",
    )
    .requiredOption(
      '-m, --model <model>',
      'a Hugging Face folder, a run, a .gguf file, a hub id, or a name at --endpoint',
    )
    .requiredOption('-d, --data <folder>', 'the benchmark: question/ and possible_answer/')
    .option('--version <version>', 'v3 (the one of the paper) or v4', 'v4')
    .option('--handler <form>', 'how to ask and to read answers: tool-n1, qwen-fc or prompt (default: prompt)')
    .option('-c, --category <names>', 'categories or groups (non_live, live, ast, python …), commas between', collect)
    .option(
      '-o, --output <folder>',
      'where answers, results, scores and the page of failures go (default: runs/bfcl/MODEL)',
    )
    .option('--max-tokens <n>', 'tokens an answer may have (default: 1024)', parseNumber)
    .option('--limit <n>', 'asks so many questions of each category at most', parseNumber)
    .option('--strict', 'the first bad record of the data is an error')
  withSettings(withEndpoint(command))
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

async function evaluate(options: Options): Promise<void> {
  const version = oneOf('--version', options.version, ['v3', 'v4'] as const)
  const { handlers } = await import('../eval/bfcl/decode.js')
  const handler = oneOf('--handler', options.handler ?? 'prompt', handlers)
  const { loadBfcl } = await import('../eval/bfcl/dataset.js')
  const categories = await pickCategories(options.category)
  const dataset = await loadBfcl(options.data, { version, categories, ...(options.strict && { strict: true }) })
  const output = options.output ?? join('runs/bfcl', options.model.replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, ''))
  const { openAsker } = await import('./asker.js')
  const { AnswerStore } = await import('../eval/answer-store.js')
  const { evaluateBfcl } = await import('../eval/bfcl/evaluate.js')
  const opened = await openAsker(options)
  const store = new AnswerStore(join(output, 'answers.jsonl'))
  const start = performance.now()
  try {
    if (!options.json) console.log(dim(`${opened.description}; BFCL ${version}, ${handler}`))
    const limit = options.limit ?? Number.POSITIVE_INFINITY
    const total = [...dataset.questions.values()].reduce((sum, list) => sum + Math.min(list.length, limit), 0)
    const report = await opened.asking(total, (asking) => {
      const native = options.endpoint !== undefined && handler === 'qwen-fc'
      return evaluateBfcl(opened.asker, dataset, { handler, native, store, ...asking, ...(options.limit && { limit }) })
    })
    await writeOutput(output, report)
    const seconds = (performance.now() - start) / 1000
    if (options.json)
      console.log(JSON.stringify({ ...(await summary(report)), problems: dataset.problems.list, seconds }))
    else await print(report, dataset.problems.list, seconds, output)
    if (!options.json && opened.usage()) console.log(dim(`  ${opened.usage()}`))
  } finally {
    store.close()
    opened.close()
  }
}

function oneOf<T extends string>(flag: string, value: string, known: readonly T[]): T {
  const found = known.find((name) => name === value)
  return found ?? fail('TypeError', 'ERR_CONFIG', `[eval bfcl] ${flag}: expected ${known.join(', ')}, got "${value}"`)
}

async function pickCategories(names: readonly string[] | undefined): Promise<readonly Category[]> {
  const { categories, categoryGroups, findCategory } = await import('../eval/bfcl/categories.js')
  if (!names) return categories
  const picked = new Set<Category>()
  for (const name of names) {
    const group = Object.hasOwn(categoryGroups, name) ? categoryGroups[name]! : []
    const single = findCategory(name)
    for (const category of single ? [single] : group) picked.add(category)
    if (single || group.length > 0) continue
    const known = [...categories, ...Object.keys(categoryGroups)].join(', ')
    const reason = /multi_turn|web_search|memory|format/.test(name) ? 'only single-turn categories are covered: ' : ''
    fail('TypeError', 'ERR_CONFIG', `[eval bfcl] --category: ${reason}expected ${known}, got "${name}"`)
  }
  return categories.filter((category) => picked.has(category))
}

async function writeOutput(output: string, report: BfclReport): Promise<void> {
  const { writeBfclFiles } = await import('../eval/bfcl/files.js')
  const { failuresOf } = await import('../eval/bfcl/failures.js')
  const { failuresPage } = await import('../eval/failures-page.js')
  const { categoryTotals } = await import('../eval/bfcl/summary.js')
  writeBfclFiles(output, report)
  const { correct, total } = categoryTotals(report)
  const page = failuresPage({
    title: `BFCL ${report.version}: what ${report.model} got wrong`,
    summary: [`${total - correct} of ${total} questions, asked as ${report.handler}.`],
    failures: failuresOf(report),
  })
  writeFileSync(join(output, 'failures.html'), page)
}

async function summary(report: BfclReport) {
  const { aggregate, paperScores } = await import('../eval/bfcl/aggregate.js')
  const { categoryRows } = await import('../eval/bfcl/summary.js')
  return {
    model: report.model,
    version: report.version,
    handler: report.handler,
    categories: Object.fromEntries(categoryRows(report).map(({ name, ...row }) => [name, row])),
    paper: paperScores(report.counts, report.version),
    tables: aggregate(report.counts, report.version),
    stored: report.stored,
    unasked: report.unasked.map(({ question, answer }) => ({ id: question.id, reason: answer.error })),
  }
}

async function print(
  report: BfclReport,
  problems: readonly { file: string; line: number; reason: string }[],
  seconds: number,
  output: string,
): Promise<void> {
  const { categoryTable, paperTable, tokensOf } = await import('../eval/bfcl/summary.js')
  const { table } = await import('./ui/table.js')
  const show = ({ header, rows }: { header: string[]; rows: string[][] }) => console.log(`\n${table(header, rows)}`)
  show(categoryTable(report))
  show(paperTable(report))
  const tokens = tokensOf(report)
  const notes = [
    `${duration(seconds)}, ${tokens.prompt.toLocaleString('en-US')} + ${tokens.answer.toLocaleString('en-US')} tokens`,
    report.stored > 0 && `${report.stored} answers were stored before`,
    `files in ${output}; failures.html shows what went wrong`,
  ]
  console.log(dim(`\n  ${notes.filter(Boolean).join('; ')}`))
  console.log(dim('  Single-turn categories only. Live of the paper’s own models is Live AST; see docs/evaluation.md.'))
  const first = report.unasked[0]
  if (first) {
    const why = printable(first.answer.error ?? '')
    console.log(yellow(`  ${report.unasked.length} questions could not be asked and count as wrong, the first: ${why}`))
  }
  for (const { file, line, reason } of problems.slice(0, 5)) {
    console.log(yellow(`  ${file}${line > 0 ? `:${line}` : ''}: ${printable(reason)}`))
  }
  if (problems.length > 5)
    console.log(yellow(`  and ${problems.length - 5} more records left out (--strict makes the first an error)`))
}
