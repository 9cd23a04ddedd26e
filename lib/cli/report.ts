// `callgrad report`: the page of a run, or of several runs and evaluations compared.

import { relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { writeComparison } from '../train/report.js'
import { dim, printable, yellow } from './ui/style.js'

interface Options {
  output?: string
  data?: string[]
  json?: boolean
}

export function reportCommand(program: Command): void {
  program
    .command('report')
    .description('write the page of a run; of several runs and evaluations, a page that compares them')
    .argument('<path...>', 'run folders, folders and files that callgrad eval wrote, or folders above them')
    .option('-o, --output <file>', 'where the page goes (default: report.html in the run, or comparison.html here)')
    .option('-d, --data <path...>', 'the data that was asked: texts of the questions, which most results lack')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad report runs/quickstart
  $ callgrad report runs/a runs/b runs/c -o compared.html
  $ callgrad report runs/study
  $ callgrad report runs/bfcl/base runs/bfcl/trained answers-base.jsonl answers-trained.jsonl --data bfcl dev.jsonl

Runs that differ by the seed alone are drawn as one setting with an interval. Evaluations of the same questions (callgrad eval --output,
callgrad eval bfcl, acebench, api-bank) become tables beside the paper's rows, and two models are compared question by question.`,
    )
    .action(async (paths: string[], options: Options) => {
      const summary = await writeComparison(paths, { target: options.output, data: options.data })
      if (options.json) {
        console.log(JSON.stringify({ ...summary, report: resolve(summary.report) }))
        return
      }
      const { runs, evaluations, problems } = summary
      console.log(`Report: ${relative('', summary.report)}`)
      if (runs.length + evaluations.length > 1)
        console.log(dim(`  ${runs.length} runs, ${evaluations.length} evaluations`))
      for (const { file, line, reason } of problems.slice(0, 5)) {
        console.log(yellow(`  ${printable(file)}${line > 0 ? `:${line}` : ''}: ${printable(reason)}`))
      }
      if (problems.length > 5) console.log(yellow(`  and ${problems.length - 5} problems more`))
    })
}
