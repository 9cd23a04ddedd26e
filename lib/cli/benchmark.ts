// What the benchmarks below `callgrad eval` have in common: options, the order of a run, what is printed around the tables.

import { join } from 'node:path'
import type { Command } from 'commander'
import type { Problem } from '../data/problems.js'
import { fail } from '../errors.js'
import type { Answer, Asker } from '../eval/asker.js'
import type { BenchmarkSettings, JudgedRun } from '../eval/benchmark.js'
import type { FailureEntry, FailuresPage } from '../eval/failures-page.js'
import type { Handler } from '../eval/tool-calls.js'
import { openAsker } from './asker.js'
import { type EndpointFlags, withEndpoint } from './endpoint-flags.js'
import { parseNumber } from './generate.js'
import { type ConfigOptions, withSettings } from './options.js'
import { duration } from './ui/format.js'
import { dim, printable, yellow } from './ui/style.js'

export interface BenchmarkFlags extends ConfigOptions, EndpointFlags {
  model: string
  data: string
  handler?: string
  category?: string[]
  output?: string
  maxTokens?: number
  limit?: number
  strict?: boolean
}

const collect = (value: string, before: string[] = []) => [...before, ...value.split(',')]

/** The options of a benchmark; `folder` names its output below `runs/`, `files` and `names` say what it is made of. */
export function withBenchmark(
  command: Command,
  {
    folder,
    files = "the benchmark's files",
    names = 'categories or groups, commas between',
  }: { folder: string; files?: string; names?: string },
): Command {
  command
    .requiredOption(
      '-m, --model <model>',
      'a Hugging Face folder, a run, a .gguf file, a hub id, or a name at --endpoint',
    )
    .requiredOption('-d, --data <folder>', files)
    .option(
      '--handler <form>',
      'how to ask and to read answers: prompt, tool-n1, tool-n1-no-reason or qwen-fc (default: prompt)',
    )
    .option('-c, --category <names>', names, collect)
    .option(
      '-o, --output <folder>',
      `where results, scores and the page of failures go, and answers.jsonl, which always keeps the answers (default: runs/${folder}/MODEL)`,
    )
    .option('--max-tokens <n>', 'tokens an answer may have (default: 1024)', parseNumber)
    .option('--limit <n>', 'asks so many questions of each category at most', parseNumber)
    .option('--strict', 'the first bad record of the data is an error')
  return withSettings(
    withEndpoint(command, {
      cache:
        'at an endpoint: a file of answers beside answers.jsonl, for any evaluation that sends the same (default: runs/answers/MODEL.jsonl)',
      noCache: 'at an endpoint: no such file; answers.jsonl is kept all the same: another --output asks anew',
    }),
  )
}

export function oneOf<T extends string>(where: string, flag: string, value: string, known: readonly T[]): T {
  const found = known.find((name) => name === value)
  return found ?? fail('TypeError', 'ERR_CONFIG', `[${where}] ${flag}: expected ${known.join(', ')}, got "${value}"`)
}

/**
 * Names of categories and groups as categories, in their own order; all where no name was given. `find` knows a category by other names
 * too; `hint` says of a name that is neither why it is not, ahead of what was expected.
 */
export function pickNames<T extends string>(
  where: string,
  names: readonly string[] | undefined,
  all: readonly T[],
  groups: Readonly<Record<string, readonly T[]>>,
  find = (name: string) => all.find((category) => category === name),
  hint = (_name: string) => '',
): readonly T[] {
  if (!names) return all
  const picked = new Set<T>()
  for (const name of names) {
    const single = find(name)
    const group = single ? [single] : Object.hasOwn(groups, name) ? (groups[name] as readonly T[]) : []
    for (const category of group) picked.add(category)
    if (group.length > 0) continue
    const known = [...all, ...Object.keys(groups)].join(', ')
    fail('TypeError', 'ERR_CONFIG', `[${where}] --category: ${hint(name)}expected ${known}, got "${name}"`)
  }
  return all.filter((category) => picked.has(category))
}

type Run = JudgedRun<string, { answer: Answer }> & { model: string }

/** What a run has to say besides its tables. */
export interface BenchmarkRun<R extends Run> {
  /** Names the output folder below `runs/`. */
  folder: string
  /** The benchmark, with its version. */
  name: string
  handler: Handler
  questions: ReadonlyMap<string, readonly unknown[]>
  problems: readonly Problem[]
  evaluate(asker: Asker, asking: Omit<BenchmarkSettings, 'handler'>): Promise<R>
  write(output: string, report: R): void
  failures(report: R): readonly FailureEntry[]
  /** What a failure is, where it is not just a wrong answer: follows "3 of 8 questions". */
  failing?: string
  /** The report for `--json`. */
  summary(report: R): object
  tables(report: R): { header: string[]; rows: string[][] }[]
  /** Lines under the tables. */
  notes: readonly string[]
}

/** Opens the model, runs, writes the files, prints. Answers are stored as they come; a run that was stopped asks only what is missing. */
export async function runBenchmark<R extends Run>(flags: BenchmarkFlags, run: BenchmarkRun<R>): Promise<void> {
  const model = flags.model.replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '')
  const output = flags.output ?? join('runs', run.folder, model)
  const { AnswerStore } = await import('../eval/answer-store.js')
  const { failuresPage } = await import('../eval/failures-page.js')
  const { writeText } = await import('../eval/output.js')
  const sizes = [...run.questions.values()].map((list) => Math.min(list.length, flags.limit || list.length))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const opened = await openAsker(flags)
  const store = new AnswerStore(join(output, 'answers.jsonl'))
  const start = performance.now()
  try {
    if (!flags.json) console.log(dim(`${opened.description}; ${run.name}, ${run.handler}`))
    const native = flags.endpoint !== undefined && flags.handler === 'qwen-fc'
    const report = await opened.asking(total, (asking) =>
      run.evaluate(opened.asker, { ...asking, store, native, ...(flags.limit && { limit: flags.limit }) }),
    )
    run.write(output, report)
    writeText('eval', join(output, 'failures.html'), failuresPage(failuresOf(run, report)))
    const seconds = (performance.now() - start) / 1000
    const usage = opened.usage()
    if (flags.json) {
      const { stored } = report
      const used = usage && { usage: usage.json }
      const rest = { stored, unasked: unaskedOf(report), problems: run.problems, ...used, seconds }
      console.log(JSON.stringify({ ...run.summary(report), ...rest }))
      return
    }
    await print(run, report, seconds, output)
    if (usage) console.log(dim(`  ${usage.line}`))
  } finally {
    store.close()
    opened.close()
  }
}

function failuresOf<R extends Run>(
  { name, handler, failures, failing = '' }: BenchmarkRun<R>,
  report: R,
): FailuresPage {
  const wrong = failures(report)
  const total = [...report.judged.values()].flat().length
  return {
    title: `${name}: what ${report.model} got wrong`,
    summary: [`${wrong.length} of ${total} questions${failing}, asked as ${handler}.`],
    failures: wrong,
  }
}

function unaskedOf({ unasked }: Run): { id: string; reason: string }[] {
  return unasked.map(({ answer: { id, error = '' } }) => ({ id, reason: error }))
}

async function print<R extends Run>(run: BenchmarkRun<R>, report: R, seconds: number, output: string): Promise<void> {
  const { table } = await import('./ui/table.js')
  for (const { header, rows } of run.tables(report)) console.log(`\n${table(header, rows)}`)
  const answers = [...report.judged.values()].flat().map(({ answer }) => answer)
  const total = (key: 'promptTokens' | 'completionTokens') => answers.reduce((sum, answer) => sum + answer[key], 0)
  const count = (value: number) => value.toLocaleString('en-US')
  const notes = [
    `${duration(seconds)}, ${count(total('promptTokens'))} + ${count(total('completionTokens'))} tokens`,
    report.stored > 0 && `${report.stored} answers were stored before`,
    `files in ${output}; failures.html shows what went wrong`,
  ]
  console.log(dim(`\n  ${notes.filter(Boolean).join('; ')}`))
  for (const note of run.notes) console.log(dim(`  ${note}`))
  printTroubles(unaskedOf(report), run.problems)
}

function printTroubles(unasked: readonly { reason: string }[], problems: readonly Problem[]): void {
  const [first] = unasked
  if (first) {
    const why = printable(first.reason)
    console.log(yellow(`  ${unasked.length} questions could not be asked and count as wrong, the first: ${why}`))
  }
  for (const { file, line, reason } of problems.slice(0, 5)) {
    console.log(yellow(`  ${file}${line > 0 ? `:${line}` : ''}: ${printable(reason)}`))
  }
  if (problems.length > 5) {
    console.log(yellow(`  and ${problems.length - 5} more records left out (--strict makes the first an error)`))
  }
}
