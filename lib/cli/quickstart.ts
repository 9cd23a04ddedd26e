// `callgrad quickstart`: a small model, from nothing to one that GRPO has made better at calling tools it has never seen.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { EvalLine, QuestionLine } from '../train/report/read.js'
import { parseNumber } from './generate.js'
import type { Measured } from './held-out.js'
import { type ConfigOptions, withSettings } from './options.js'
import { duration, percent } from './ui/format.js'
import { bold, dim, green, printable, red, textWidth } from './ui/style.js'
import { fold, pairs, table } from './ui/table.js'

interface Options extends ConfigOptions {
  seed?: number
  output: string
}

export function quickstartCommand(program: Command): void {
  const command = program
    .command('quickstart')
    .description('train a small model from nothing: supervised warm start, then GRPO; ends with before and after')
    .option('--seed <n>', 'seed of weights, tasks and sampling', parseNumber)
    .option(
      '-o, --output <folder>',
      'where the run goes; what an earlier quickstart left there is replaced',
      'runs/quickstart',
    )
  withSettings(command)
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad quickstart
  $ callgrad quickstart --seed 1 --output runs/seed-1
  $ callgrad quickstart --set grpo.shuffleRewards=true --output runs/control     # nothing to learn: must not rise
  $ callgrad quickstart --set grpo.maxSteps=20 --set tasks.heldOut=50            # a short look`,
    )
    .action(quickstart)
}

/** What an earlier quickstart wrote, and nothing else. */
function clear(folder: string): void {
  for (const name of ['sft', 'grpo', 'config.json', 'eval.jsonl', 'questions.jsonl', 'report.html'])
    rmSync(join(folder, name), { recursive: true, force: true })
}

const writeLines = (file: string, lines: readonly object[]) =>
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))

async function quickstart(options: Options): Promise<void> {
  const { quickstartSettings } = await import('./quickstart/settings.js')
  const settings = quickstartSettings(options.set ?? [], options.seed)
  const started = performance.now()
  const folder = options.output
  const json = options.json === true
  const say = (text: string) => (json ? process.stderr : process.stdout).write(`${text}\n`)

  const { prepare } = await import('./quickstart/stages.js')
  clear(folder)
  const stages = await prepare(settings, folder, json)
  try {
    say(`${bold('callgrad quickstart')}  ${dim(`seed ${settings.seed}`)}\n`)
    say(pairs(stages.facts))
    say(
      `\n${bold('1  Supervised warm start')}  ${dim('on demonstrations by a teacher who is careless about types and second requests')}\n`,
    )
    if (!(await stages.warmStart())) {
      say('\nStopped in the warm start. Run it again to start anew.')
      return
    }
    const before = await stages.measure('after SFT')
    say(`\n  held out: ${shown(before.line)}\n`)

    say(`${bold('2  GRPO')}  ${dim('reward 1 for exactly the right calls in the right format, else 0')}\n`)
    const finished = await stages.reinforce()
    const after = await stages.measure('after GRPO')
    say(`\n  held out: ${shown(after.line)}\n`)

    const questions = changed(before, after, 3)
    writeLines(join(folder, 'eval.jsonl'), [before.line, after.line])
    writeLines(join(folder, 'questions.jsonl'), questions)
    const { writeReport } = await import('../train/report.js')
    const report = await writeReport(folder)
    if (json) {
      const seconds = (performance.now() - started) / 1000
      console.log(
        JSON.stringify({ seed: settings.seed, sft: before.line, grpo: after.line, finished, seconds, report }),
      )
      return
    }
    say(summary(before, after, questions))
    say(
      `\n${pairs([
        ['time', `${duration((performance.now() - started) / 1000)}`],
        ['model', `${stages.modelFolder}`],
        ['report', report],
        ['next', 'callgrad train --help, or examples/smollm2-toolcalls for a real model'],
      ])}`,
    )
  } finally {
    stages.dispose()
  }
}

const shown = ({ exactMatch: m, n }: EvalLine) =>
  `${bold(percent(m.value))} exact match ${dim(`(95 %: ${percent(m.low)} to ${percent(m.high)}, ${n} tasks with unseen tools)`)}`

/** Questions whose answer went from wrong to right, filled up with others, in the order of the held-out set. */
function changed(before: Measured, after: Measured, count: number): QuestionLine[] {
  const order = before.answers.map((_, i) => i)
  const learned = order.filter((i) => !before.answers[i]!.right && after.answers[i]!.right)
  const picked = [...learned, ...order.filter((i) => !learned.includes(i))].slice(0, count)
  return picked.map((i) => {
    const [b, a] = [before.answers[i]!, after.answers[i]!]
    const answer = (label: string, x: typeof b) => ({ label, text: x.text, right: x.right, explain: x.explain })
    return {
      question: b.question,
      truth: b.truth,
      answers: [answer(before.line.label, b), answer(after.line.label, a)],
    }
  })
}

/** An untrained model may repeat itself to the limit; the report has the whole answer. */
const shortened = (text: string) => (text.length > 400 ? `${text.slice(0, 400)} …` : text)

function summary(before: Measured, after: Measured, questions: readonly QuestionLine[]): string {
  const count = (from: boolean, to: boolean) =>
    before.answers.filter((answer, i) => answer.right === from && after.answers[i]!.right === to).length
  const cell = ({ value, low, high }: EvalLine['exactMatch']) =>
    `${percent(value)} (${percent(low)} to ${percent(high)})`
  const rows = [before.line, after.line].map((l) => [
    l.label,
    cell(l.exactMatch),
    l.formatRate ? percent(l.formatRate.value) : '–',
    l.nameRate ? percent(l.nameRate.value) : '–',
    l.meanLength ? l.meanLength.value.toFixed(1) : '–',
  ])
  const width = textWidth()
  const answers = questions.map((q) =>
    [
      fold(bold(printable(q.question)), width, '  '),
      ...q.answers.map((a) => {
        const mark = a.right ? green('✓') : red('✗')
        const why = a.right ? '' : `\n${fold(dim(printable(a.explain ?? '')), width, '       ')}`
        return `  ${mark} ${a.label}\n${fold(printable(shortened(a.text)), width, '       ')}${why}`
      }),
    ].join('\n'),
  )
  return [
    table(['held-out tasks', 'exact match', 'format', 'names', 'tokens'], rows),
    '',
    `  ${count(false, true)} tasks went from wrong to right, ${count(true, false)} from right to wrong. Three of them:`,
    '',
    answers.join('\n\n'),
  ].join('\n')
}
