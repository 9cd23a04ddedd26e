// One line a training step, in columns that stay where they are.

import { duration, number } from './format.js'
import { bold, dim, padLeft, yellow } from './style.js'

/** A column: its title, its width, and its text for the metrics of a step (null where there is nothing to show). */
export interface Column {
  title: string
  width: number
  text(metrics: Record<string, number>): string | null
}

const metric = (title: string, name: string, width = 8, show: (value: number) => string = number): Column => ({
  title,
  width,
  text: (metrics) => (Number.isFinite(metrics[name]) ? show(metrics[name]!) : null),
})

const share = (value: number) => `${(100 * value).toFixed(0)} %`
const fixed = (digits: number) => (value: number) => value.toFixed(digits)

export const grpoColumns: readonly Column[] = [
  metric('reward', 'reward', 7, fixed(3)),
  metric('format', 'reward/format_rate', 7, share),
  metric('names', 'reward/name_rate', 7, share),
  metric('teach', 'baseline_reward/pct_mixed', 6, (percent) => `${percent.toFixed(0)} %`),
  metric('tokens', 'completions/mean_length', 7, fixed(0)),
  metric('KL', 'kl', 9),
  metric('entropy', 'entropy', 8, fixed(3)),
  metric('loss', 'loss', 9),
  metric('grad', 'grad_norm', 7),
  metric('time', 'step_time', 8, duration),
]

export const sftColumns: readonly Column[] = [
  metric('loss', 'loss', 8, fixed(4)),
  metric('entropy', 'entropy', 8, fixed(3)),
  metric('grad', 'grad_norm', 7),
  metric('rate', 'learning_rate', 9),
  metric('tokens', 'num_tokens', 10),
  metric('time', 'step_time', 8, duration),
]

const headerEvery = 30

/** Formats steps; a column that has nothing in the first step is left out for the whole run. */
export class StepTable {
  #columns: readonly Column[] | null = null
  #lines = 0

  constructor(private readonly all: readonly Column[]) {}

  /** Lines to print for a step: now and then the header first, notes last. */
  lines(step: number, totalSteps: number, metrics: Record<string, number>, notes: readonly string[] = []): string[] {
    this.#columns ??= this.all.filter((column) => column.text(metrics) !== null)
    const width = Math.max(4, 2 * String(totalSteps).length + 1)
    const cells = this.#columns.map((column) => padLeft(column.text(metrics) ?? '–', column.width))
    const line = `  ${padLeft(`${step}/${totalSteps}`, width)}  ${cells.join(' ')}`
    const header = `  ${padLeft('step', width)}  ${this.#columns.map((c) => padLeft(c.title, c.width)).join(' ')}`
    const first = this.#lines++ % headerEvery === 0
    return [...(first ? [bold(header)] : []), line, ...notes.map((note) => `  ${yellow('!')} ${dim(note)}`)]
  }
}
