// `callgrad report`: the page of a run, or of several drawn over each other.

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { writeComparison, writeReport } from '../train/report.js'

interface Options {
  output?: string
  json?: boolean
}

export function reportCommand(program: Command): void {
  program
    .command('report')
    .description('write report.html of a run; with several runs, a page that compares them')
    .argument('<run...>', 'run folders, such as runs/quickstart')
    .option('-o, --output <file>', 'where the page goes (default: report.html in the run, or comparison.html here)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ callgrad report runs/quickstart\n  $ callgrad report runs/a runs/b runs/c -o compared.html',
    )
    .action(async (runs: string[], options: Options) => {
      const [first] = runs as [string]
      const file =
        runs.length === 1
          ? await writeReport(first, options.output)
          : await writeComparison(runs, options.output ?? 'comparison.html')
      console.log(options.json ? JSON.stringify({ report: resolve(file) }) : `Report: ${file}`)
    })
}
