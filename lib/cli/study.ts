// `callgrad study`: trainings and evaluations that belong together, stage by stage, resumable at any instant.

import type { Command } from 'commander'
import { fail } from '../errors.js'
import { parseNumber } from './generate.js'
import { type ConfigOptions, withSettings } from './options.js'
import type { PlannedStage } from './study/plan.js'
import type { Stage } from './study/stages.js'
import { duration } from './ui/format.js'
import { dim, green } from './ui/style.js'
import { table } from './ui/table.js'

interface Flags extends ConfigOptions {
  plan?: boolean
  only?: string[]
  until?: number
  results?: string | boolean
}

const collect = (value: string, before: string[] = []) => [...before, value]

export function studyCommand(program: Command): void {
  const command = program
    .command('study')
    .description('run a study: trainings of several seeds and their evaluations, whatever of them is still missing')
    .argument('<file>', 'YAML or JSON file that lists models and how they are measured')
    .option('--plan', 'print the stages, what is done, minutes used and left, and the commands; run nothing')
    .option('--only <stage>', 'run this stage alone, as --plan names it; may be given many times', collect)
    .option('--until <minutes>', 'stop after so many minutes, as Ctrl-C does', parseNumber)
    .option(
      '--results [page]',
      'write the tables and figures into a page between its markers (default: docs/results.md)',
    )
  withSettings(command)
    .addHelpText(
      'after',
      `
Every stage is a command of its own, run in a process of its own; its files tell whether it is done. Stopped at any instant
(Ctrl-C, a kill, no power), the same command goes on: no finished step, no stored answer is made again.

Examples:
  $ callgrad study examples/miniature/study.yaml --plan
  $ callgrad study examples/miniature/study.yaml --until 120
  $ callgrad study examples/miniature/study.yaml --results docs/results.md`,
    )
    .action(study)
}

async function study(file: string, flags: Flags): Promise<void> {
  const { readStudy } = await import('./study/settings.js')
  const { prepareQuestions } = await import('./study/questions.js')
  const { stagesOf } = await import('./study/stages.js')
  const { planOf } = await import('./study/plan.js')
  const made = readStudy(file, flags.set)
  const questions = await prepareQuestions(made)
  const stages = stagesOf(made, questions)
  checkOnly(stages, flags.only)
  if (flags.plan) {
    const planned = await planOf(stages)
    if (flags.json) console.log(JSON.stringify({ study: made.name, stages: planned }))
    else printPlan(planned)
    return
  }
  if (flags.results) {
    const { writeStudyResults } = await import('./study/results/write.js')
    const page = typeof flags.results === 'string' ? flags.results : 'docs/results.md'
    const written = await writeStudyResults(made, stages, questions, page)
    console.log(flags.json ? JSON.stringify({ written }) : `Written: ${written.join(', ')}`)
    return
  }
  const { runStudy } = await import('./study/run.js')
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const { only, until } = flags
  const whole = await runStudy(made, stages, { say, ...(only && { only }), ...(until !== undefined && { until }) })
  const planned = await planOf(stages)
  if (flags.json) console.log(JSON.stringify({ study: made.name, stages: planned }))
  else console.log(`\n${totals(planned)}${whole ? '' : '; stopped: the same command goes on'}`)
}

function checkOnly(stages: readonly Stage[], only: readonly string[] = []): void {
  const names = stages.map(({ name }) => name)
  for (const name of only) {
    if (!names.includes(name)) {
      fail('TypeError', 'ERR_CONFIG', `[study] --only: expected one of ${names.join(', ')}; got "${name}"`)
    }
  }
}

function printPlan(stages: readonly PlannedStage[]): void {
  const rows = stages.map(({ name, share, detail, minutes, left }) => [
    share === 1 ? green(name) : name,
    share === 1 ? `done, ${detail}` : detail,
    minutes.toFixed(1),
    left.toFixed(1),
  ])
  console.log(`\n${table(['stage', 'how far', 'minutes used', 'left'], rows)}\n`)
  for (const { name, command } of stages) console.log(`${dim(`# ${name}`)}\n${command}`)
  console.log(`\n${totals(stages)}`)
}

function totals(stages: readonly PlannedStage[]): string {
  const sum = (key: 'minutes' | 'left') => stages.reduce((all, stage) => all + stage[key], 0)
  const done = stages.filter(({ share }) => share === 1).length
  return `${done} of ${stages.length} stages done, ${duration(60 * sum('minutes'))} used, about ${duration(60 * sum('left'))} left`
}
