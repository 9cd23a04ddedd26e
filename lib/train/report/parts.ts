// The pieces of a report's page, each a function from data to markup.

import type { Chart, Series } from './charts.js'
import { html, type Markup } from './html.js'
import type { CompletionLine, EvalLine, Interval, MetricLine, QuestionLine, Run } from './read.js'

export const percent = (value: number, digits = 1): string =>
  Number.isFinite(value) ? `${(100 * value).toFixed(digits)}\u202f%` : '–'

/** 12, 3.46, 0.0123, 1.2e-6. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2)
  return new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 }).format(value)
}

function time(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}

/** Values of a metric, in order, without gaps. */
export const column = (metrics: readonly MetricLine[], name: string) =>
  metrics.map((m) => m[name]).filter((v): v is number => typeof v === 'number' && Number.isFinite(v))

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length

/** The figures that a reader wants first. */
export function tiles(run: Run): Markup {
  const metrics = run.stages.length ? run.stages.flatMap((stage) => stage.metrics) : run.metrics
  const first = run.evaluations[0]
  const last = run.evaluations.at(-1)
  const rewards = column(metrics, 'reward')
  const tenth = Math.max(1, Math.ceil(rewards.length / 10))
  const lengths = column(metrics, 'completions/mean_length')
  const seconds = column(metrics, 'step_time').reduce((a, b) => a + b, 0)
  const peak = Math.max(0, ...['memory/peak_rss', 'memory/rss'].flatMap((name) => column(metrics, name)))
  const tile = (label: string, value: string, note: string | false = '') =>
    html`<div class="card tile"><span class="quiet">${label}</span><strong>${value}</strong><span class="quiet">${note}</span></div>`
  return html`<div class="tiles">
    ${last && tile('Held-out exact match', percent(last.exactMatch.value), first !== last && `${first!.label}: ${percent(first!.exactMatch.value)}`)}
    ${rewards.length > 0 && tile('Reward, last tenth', mean(rewards.slice(-tenth)).toFixed(3), `first tenth: ${mean(rewards.slice(0, tenth)).toFixed(3)}`)}
    ${lengths.length > 0 && tile('Completion length', `${figure(Math.round(lengths.at(-1)!))}`, `tokens; at first ${figure(Math.round(lengths[0]!))}`)}
    ${metrics.length > 0 && tile('Steps', figure(metrics.length), seconds > 0 && `${time(seconds)} of training`)}
    ${peak > 0 && tile('Peak memory', `${(peak / 1e9).toFixed(2)} GB`)}
  </div>`
}

/** A share as a bar with its interval; clipped to what a share can be. */
export function interval(label: string, { value, low, high }: Interval, note: string): Markup {
  // No questions: no share, and nothing to draw.
  const inside = (v: number) => (Number.isNaN(v) ? 0 : Math.min(1, Math.max(0, v)))
  const at = (v: number) => `${(100 * v).toFixed(2)}%`
  return html`<div class="interval"><span>${label}</span>
    <span class="track" aria-hidden="true"><b style="width:${at(inside(value))}"></b><u style="left:${at(inside(low))};width:${at(inside(high) - inside(low))}"></u><s style="left:${at(inside(value))}"></s></span>
    <data value="${value}">${percent(value)} <small>${percent(inside(low))} to ${percent(inside(high))}${note}</small></data></div>`
}

/** Exact match at each evaluation with its 95 % interval, and the other rates as a table. */
export function evaluations(lines: readonly EvalLine[]): Markup | null {
  if (lines.length === 0) return null
  const cell = (value: Interval | undefined, show = percent) =>
    html`<td class="num">${value ? `${show(value.value)} (${show(value.low)} to ${show(value.high)})` : '–'}</td>`
  const sizes = new Set(lines.map((line) => line.n))
  return html`<h2 id="evaluation">Held-out questions</h2><div class="card">
    <p class="quiet">Exact match with 95 % intervals${sizes.size === 1 && `, ${lines[0]!.n} questions that training never saw`}.</p>
    <div class="intervals" style="margin-top:14px">${lines.map((l) => interval(l.label, l.exactMatch, sizes.size > 1 ? `, n = ${l.n}` : ''))}</div>
    <details style="margin-top:12px"><summary class="quiet">All rates</summary><div class="scroll"><table>
      <thead><tr><th>evaluation</th><th class="num">exact match</th><th class="num">right format</th><th class="num">right names</th><th class="num">tokens</th></tr></thead>
      <tbody>${lines.map((l) => html`<tr><td>${l.label}</td>${cell(l.exactMatch)}${cell(l.formatRate)}${cell(l.nameRate)}${cell(l.meanLength, (v) => v.toFixed(1))}</tr>`)}</tbody>
    </table></div></details></div>`
}

/** Text of a model with its thought and its calls set apart. Everything is escaped; only the span elements are ours. */
export function modelText(text: string): Markup {
  const pieces = text.split(/(<think>[\s\S]*?(?:<\/think>|$)|<tool_call>[\s\S]*?(?:<\/tool_call>|$))/)
  return html`<pre>${pieces.map((piece) => {
    if (piece.startsWith('<think>')) return html`<span class="think">${piece}</span>`
    return piece.startsWith('<tool_call>') ? html`<span class="call">${piece}</span>` : piece
  })}</pre>`
}

const mark = (good: boolean, text: string) =>
  html`<span class="mark ${good ? 'good' : 'bad'}">${good ? '✓' : '✗'} ${text}</span>`

/** The same questions before and after. */
export function questions(lines: readonly QuestionLine[]): Markup | null {
  if (lines.length === 0) return null
  return html`<h2 id="questions">The same questions, before and after</h2><div class="stack">${lines.map(
    (q) => html`<article class="card"><h3>${q.question}</h3>${q.truth && html`<p class="quiet">Right: ${q.truth}</p>`}
      <div class="answers">${q.answers.map(
        (a) =>
          html`<div><div class="head"><strong>${a.label}</strong>${mark(a.right, a.right ? 'right' : 'wrong')}</div>${modelText(a.text)}${a.explain && !a.right && html`<p class="quiet">${a.explain}</p>`}</div>`,
      )}</div></article>`,
  )}</div>`
}

/** Completions of a few steps with their rewards and why. */
export function samples(lines: readonly CompletionLine[]): Markup | null {
  if (lines.length === 0) return null
  const steps = [...new Set(lines.map((line) => line.step))]
  const best = Math.max(...lines.map((line) => line.reward ?? 0))
  const one = (
    c: CompletionLine,
  ) => html`<article><div class="head">${mark((c.reward ?? 0) >= best && best > 0, `reward ${figure(c.reward)}`)}
      <span class="quiet">${[c.id, c.advantage !== undefined && `advantage ${figure(c.advantage)}`, c.finishReason === 'length' && 'cut at the limit'].filter(Boolean).join(' · ')}</span></div>
    ${c.explain && html`<p>${c.explain}</p>`}${modelText(c.completion)}
    ${c.truth && html`<p class="quiet">Right: <code>${c.truth}</code></p>`}
    ${c.prompt && html`<details><summary class="quiet">Prompt</summary><pre>${c.prompt}</pre></details>`}</article>`
  return html`<div class="card samples"><h3>Sample completions</h3><p class="quiet">The best and the worst of a few steps.</p>${steps.map(
    (step, i) =>
      html`<details ${i === steps.length - 1 && 'open'}><summary>Step ${step}</summary><div class="stack">${lines.filter((c) => c.step === step).map(one)}</div></details>`,
  )}</div>`
}

function describe(chart: Chart): string {
  return chart.series
    .filter((s) => s.kind !== 'faint' && s.of === undefined)
    .map((s) => {
      const values = (s.shown ?? s.values).filter((v) => v !== null)
      return `${s.label} from ${figure(values[0])} at step ${chart.x[0]} to ${figure(values.at(-1))} at step ${chart.x.at(-1)}`
    })
    .join('; ')
}

function legendItem(s: Series): Markup {
  const look = s.shown ? 'stacked' : s.kind
  return html`<li><button type="button" aria-pressed="true"><i class="k${s.color % 8} ${look}${s.color >= 8 && ' dashed'}"></i>${s.label} <output></output></button></li>`
}

/** A chart's card: the canvas is drawn by the page's script; the numbers stand below as a table. */
export function chartCard(chart: Chart): Markup {
  const rows = Math.min(12, chart.x.length)
  const listed = chart.series.filter((s) => s.of === undefined)
  const picked = Array.from({ length: rows }, (_, i) => Math.round((i * (chart.x.length - 1)) / Math.max(1, rows - 1)))
  return html`<figure class="card"><figcaption><h3>${chart.title}</h3><p class="quiet">${chart.note}</p></figcaption>
    <div class="plot" id="plot-${chart.id}" role="img" aria-label="${chart.title}: ${describe(chart)}"></div>
    <ul class="legend">${listed.map(legendItem)}</ul>
    <details><summary>Numbers</summary><div class="scroll"><table>
      <thead><tr><th>step</th>${listed.map((s) => html`<th class="num">${s.label}</th>`)}</tr></thead>
      <tbody>${picked.map((i) => html`<tr><td>${chart.x[i]}</td>${listed.map((s) => html`<td class="num">${figure((s.shown ?? s.values)[i])}</td>`)}</tr>`)}</tbody>
    </table></div></details></figure>`
}

/** The settings of a run. */
export function settings(config: Record<string, unknown>): Markup | null {
  const entries = Object.entries(config)
  if (entries.length === 0) return null
  return html`<details class="card"><summary>Settings</summary><div class="scroll"><table><tbody>${entries.map(
    ([key, value]) => html`<tr><th>${key}</th><td>${setting(value)}</td></tr>`,
  )}</tbody></table></div></details>`
}

/** A setting's value as a config file would have it. */
export const setting = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? '–'))
