// Benchmark tables of several models: shares with intervals, the paper's rows beside ours, categories.

import { type Estimate, meanEstimate } from '../../eval/intervals.js'
import {
  groupByCategory,
  meanTokens,
  orderedCategories,
  paperTableOf,
  paperValues,
  shareRight,
} from '../../eval/results/tables.js'
import type { DataSet, NamedResults } from './datasets.js'
import { html, type Markup } from './html.js'
import { figure, interval, percent } from './parts.js'
import type { Setting } from './settings.js'

/** More categories than this are no categories but names of single questions. */
export const maxCategories = 40

/** One data set: what share each model gets right, the paper's table where there is one, the categories. */
export function benchmark(data: DataSet): Markup {
  const { models, settings, title } = data
  const asked = new Set(models.map(({ set }) => set.questions.length))
  const pooled = settings.some(({ members }) => members.length > 1)
  const bars = settings.flatMap((setting) => [
    ...setting.members.map(({ name, set }) =>
      interval(name, shareRight(set.questions), sizeNote(asked, set.questions.length)),
    ),
    ...(setting.members.length > 1 ? [pooledBar(setting)] : []),
  ])
  const what = data.benchmark === 'questions' ? 'Exact match' : 'Share of the asked questions that are right'
  return html`<section class="card benchmark" id="${data.id}"><h3>${title}</h3>
    <p class="quiet">${what}, with Wilson’s 95 % intervals${asked.size === 1 && ` (${[...asked][0]} questions)`}${pooled && '; over seeds the mean with Student’s'}.</p>
    ${problemsOf(models)}
    <div class="intervals">${bars}</div>
    ${paperTable(data)}${data.benchmark === 'questions' && lengths(models)}${categories(data)}</section>`
}

const sizeNote = (asked: ReadonlySet<number>, own: number) => (asked.size > 1 ? `, n = ${own}` : '')

function pooledBar({ name, members }: Setting<NamedResults>): Markup {
  const mean = meanEstimate(members.map(({ set }) => shareRight(set.questions).value))
  return interval(`${name}, mean`, mean, `, ${members.length} seeds`)
}

/** What could not be read of the models' files: said, not hidden. */
function problemsOf(models: readonly NamedResults[]): Markup | null {
  const problems = models.flatMap(({ set }) => set.problems)
  if (problems.length === 0) return null
  return html`<details class="problems"><summary>${problems.length} problems in the files</summary><ul>${problems
    .slice(0, 20)
    .map(({ file, line, reason }) => html`<li>${file}${line > 0 && `:${line}`}: ${reason}</li>`)}</ul></details>`
}

const cell = (value: number | null) => (value === null || !Number.isFinite(value) ? '–' : (100 * value).toFixed(2))

/** The paper's rows, then each model's and, where there are seeds, their mean with Student's interval. */
function paperTable({ benchmark: kind, settings }: DataSet): Markup | null {
  const paper = paperTableOf(kind)
  if (!paper) return null
  const row = (name: Markup | string, cells: readonly (Markup | string)[], style = '') =>
    html`<tr class="${style}"><th scope="row">${name}</th>${cells.map((text) => html`<td class="num">${text}</td>`)}</tr>`
  const ours = settings.flatMap(({ name, members }) => {
    const values = members.map(({ set }) => paperValues(set))
    const rows = members.map((member, i) =>
      row(html`${member.name} <small>n = ${member.set.questions.length}</small>`, values[i]!.map(cell), 'ours'),
    )
    if (members.length === 1) return rows
    const means = paper.columns.map((_, column) => meanOf(values.map((own) => own[column] ?? null)))
    return [...rows, row(`${name}, mean of ${members.length} seeds`, means, 'ours mean')]
  })
  return html`<h4>Beside the paper’s rows, in %</h4><p class="quiet">${paper.note}</p><div class="scroll"><table class="paper-table">
    <thead><tr><th>model</th>${paper.columns.map((title) => html`<th class="num">${title}</th>`)}</tr></thead>
    <tbody>${paper.rows.map(({ model, values }) => row(model, values.map(cell), 'paper'))}${ours}</tbody></table></div>`
}

function meanOf(values: readonly (number | null)[]): Markup | string {
  const known = values.filter((value) => value !== null)
  if (known.length < values.length) return '–'
  const { value, low, high } = meanEstimate(known)
  return html`${cell(value)}<br><small>${cell(Math.max(0, low))} to ${cell(Math.min(1, high))}</small>`
}

/** Lengths of the replies, where the files tell. */
function lengths(models: readonly NamedResults[]): Markup {
  return html`<h4>Replies</h4><div class="scroll"><table><thead><tr><th>model</th><th class="num">questions</th><th class="num">exact</th><th class="num">tokens</th><th class="num">cut at the limit</th></tr></thead>
    <tbody>${models.map(({ name, set: { questions } }) => {
      const tokens = meanTokens(questions)
      const cut = questions.filter((question) => question.cut).length
      return html`<tr class="ours"><th scope="row">${name}</th><td class="num">${questions.length}</td><td class="num">${withEnds(shareRight(questions), percent)}</td><td class="num">${tokens ? withEnds(tokens, figure) : '–'}</td><td class="num">${percent(cut / questions.length)}</td></tr>`
    })}</tbody></table></div>`
}

const withEnds = ({ value, low, high }: Estimate, show: (value: number) => string) =>
  html`${show(value)} <small>${show(low)} to ${show(high)}</small>`

/** Each category's share with its interval. */
function categories({ benchmark: kind, models }: DataSet): Markup | null {
  const groups = models.map(({ set }) => groupByCategory(set.questions))
  const names = orderedCategories(
    kind,
    groups.flatMap((group) => [...group.keys()]),
  )
  if (names.length < 2 || names.length > maxCategories) return null
  return html`<details><summary>By category</summary><div class="scroll"><table>
    <thead><tr><th>category</th>${models.map(({ name }) => html`<th class="num">${name}</th>`)}</tr></thead>
    <tbody>${names.map(
      (name) =>
        html`<tr><th scope="row">${name}</th>${groups.map((group) => {
          const list = group.get(name)
          return html`<td class="num">${list ? html`${withEnds(shareRight(list), percent)} <small>n = ${list.length}</small>` : '–'}</td>`
        })}</tr>`,
    )}</tbody></table></div></details>`
}
