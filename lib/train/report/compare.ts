// The parts of a page about several runs: a table of them, their curves, and what the paper's runs did.

import type { Chart } from './charts.js'
import { html, type Markup } from './html.js'
import { chartCard, column, figure, percent, setting } from './parts.js'
import type { Run } from './read.js'
import type { Setting } from './settings.js'

/** One row a run: where it ended, and the settings in which the runs differ. */
export function runsTable(settings: readonly Setting<Run>[]): Markup {
  const runs = settings.flatMap(({ members }) => members)
  const last = (run: Run, name: string) => figure(column(run.metrics, name).at(-1))
  const configs = runs.map(({ config }) => flat(config))
  // A key that some runs do not have tells their kind, which the table need not: values have to differ.
  const valuesOf = (key: string) => configs.flatMap((config) => config.get(key) ?? [])
  const keys = [...new Set(configs.flatMap((config) => [...config.keys()]))].filter(
    (key) => new Set(valuesOf(key)).size > 1 && !['name', 'outputDir'].includes(key),
  )
  const grouped = settings.some(({ members }) => members.length > 1)
  return html`<h2 id="runs">Runs</h2><div class="card scroll"><table><thead><tr><th>run</th>${grouped && html`<th>setting</th>`}<th class="num">steps</th><th class="num">exact match</th><th class="num">reward</th><th class="num">tokens</th><th class="num">KL</th>${keys.map((key) => html`<th>${key}</th>`)}</tr></thead>
    <tbody>${settings.flatMap(({ name, members }) =>
      members.map((run) => {
        const held = run.evaluations.at(-1)?.exactMatch
        const own = configs[runs.indexOf(run)]!
        return html`<tr><th scope="row">${run.name}</th>${grouped && html`<td>${members.length > 1 ? `${name} (${members.length} seeds)` : name}</td>`}<td class="num">${run.metrics.length}</td><td class="num">${held ? `${percent(held.value)} (${percent(held.low)} to ${percent(held.high)})` : '–'}</td><td class="num">${last(run, 'reward')}</td><td class="num">${last(run, 'completions/mean_length')}</td><td class="num">${last(run, 'kl')}</td>${keys.map((key) => html`<td>${own.get(key) ?? '–'}</td>`)}</tr>`
      }),
    )}</tbody></table></div>`
}

/** Links to the parts of a page. */
export function contents(parts: readonly (readonly [id: string, title: string, there: boolean])[]): Markup {
  return html`<nav>${parts.filter(([, , there]) => there).map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav>`
}

/** Settings by name, `dataset.path` for those inside another. */
function flat(config: Record<string, unknown>, prefix = ''): Map<string, string> {
  return new Map(
    Object.entries(config).flatMap(([key, value]): [string, string][] =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? [...flat(value as Record<string, unknown>, `${prefix}${key}.`)]
        : [[`${prefix}${key}`, setting(value)]],
    ),
  )
}

/** Figures 6 and 7 of Tool-N1's paper (arXiv 2505.00024), read from its vector graphics at four steps. */
const paperDynamics: readonly [what: string, model: string, ...values: number[]][] = [
  ['mean length', 'Tool-N1-7B', 101, 108, 105, 104],
  ['mean length', 'Tool-N1-14B', 173, 117, 103, 100],
  ['least length', 'Tool-N1-7B', 16, 27, 38, 38],
  ['least length', 'Tool-N1-14B', 40, 35, 39, 37],
  ['KL', 'Tool-N1-7B', 0.002, 0.089, 0.135, 0.162],
  ['KL', 'Tool-N1-14B', 0.001, 0.025, 0.072, 0.077],
  ['entropy', 'Tool-N1-7B', 0.091, 0.07, 0.036, 0.024],
  ['entropy', 'Tool-N1-14B', 0.142, 0.117, 0.063, 0.053],
  ['reward', 'Tool-N1-7B', 0, 0.68, 0.81, 0.84],
  ['reward', 'Tool-N1-14B', 0.14, 0.72, 0.82, 0.85],
]

/** Reply length, KL, entropy and reward over steps, with the paper's own figures to hold beside them; then everything else. */
export function curves({ paper, other }: { paper: readonly Chart[]; other: readonly Chart[] }, seeds: boolean): Markup {
  return html`${paper.length > 0 && paperCurves(paper, seeds)}
    ${other.length > 0 && html`<h2 id="metrics">Other metrics</h2><div class="grid">${other.map(chartCard)}</div>`}`
}

function paperCurves(paper: readonly Chart[], seeds: boolean): Markup {
  return html`<h2 id="curves">Length, KL and reward over steps</h2>
    <p class="quiet lead">Running means over a twenty-fifth of a run.${seeds && ' Bold is the mean over the seeds of a setting, the area Student’s 95 % interval of that mean, faint lines the seeds; two seeds say little about their spread, so the area may leave the chart.'}</p>
    <div class="grid">${paper.map(chartCard)}</div>
    <details class="card below"><summary>What the paper’s runs did (figures 6 and 7)</summary><div class="scroll"><table><thead><tr><th>figure</th><th>model</th>${[1, 20, 60, 140].map((step) => html`<th class="num">step ${step}</th>`)}</tr></thead>
    <tbody>${paperDynamics.map(([what, model, ...values]) => html`<tr><td>${what}</td><td>${model}</td>${values.map((value) => html`<td class="num">${value}</td>`)}</tr>`)}</tbody></table></div></details>`
}
