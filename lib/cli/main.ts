// The command line. Commands load what they need when they run, so that `--help` and usage errors are immediate.

import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { benchCommand } from './bench.js'
import { dataCommand } from './data.js'
import { distillCommand } from './distill.js'
import { doctorCommand } from './doctor.js'
import { evalCommand } from './eval.js'
import { errorText, exitCodeOf } from './exit.js'
import { generateCommand } from './generate.js'
import { quickstartCommand } from './quickstart.js'
import { reportCommand } from './report.js'
import { sftCommand } from './sft.js'
import { studyCommand } from './study.js'
import { trainCommand } from './train.js'

const commands = [
  quickstartCommand,
  trainCommand,
  sftCommand,
  evalCommand,
  distillCommand,
  generateCommand,
  dataCommand,
  benchCommand,
  reportCommand,
  studyCommand,
  doctorCommand,
]

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** The program with its commands; errors are thrown, never the end of the process. */
export function createProgram(): Command {
  const program = new Command('callgrad')
    .description('Train language models to call tools by reinforcement learning.')
    .version(version(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    // options belong to the command before them: `eval bfcl --version v3` asks for no version of callgrad
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText(
      'after',
      `
Start here:
  $ callgrad quickstart                      train a small model from nothing, in minutes
  $ callgrad train config.yaml               GRPO on your model and data
  $ callgrad eval --model M --data F         how well a model calls tools

Exit codes: 0 done; 1 the run failed; 2 wrong arguments or config; 130 ended by Ctrl-C pressed twice.
Set CALLGRAD_DEBUG=1 to see where an error comes from.`,
    )
  for (const add of commands) add(program)
  for (const command of program.commands.flatMap((one) => [one, ...one.commands])) {
    command.exitOverride().configureOutput({ outputError: () => {} })
  }
  return program
}

/** Runs the command line `argv` (as process.argv) and sets the exit code. */
export async function run(argv: readonly string[]): Promise<void> {
  // A reader that went away (`callgrad … | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  const program = createProgram()
  try {
    if (argv.length <= 2) program.outputHelp()
    else await program.parseAsync([...argv])
  } catch (error) {
    const code = exitCodeOf(error)
    process.exitCode = code
    // Help that was printed in place of a missing subcommand says all: what commander throws then is no message.
    if (code === 0 || (error as { code?: string }).code === 'commander.help') return
    const usage = (error as { code?: string }).code?.startsWith('commander.')
    const text = usage
      ? (error as Error).message.replace(/^error: /, '')
      : errorText(error, Boolean(process.env.CALLGRAD_DEBUG))
    process.stderr.write(`${text}\n`)
  }
}
