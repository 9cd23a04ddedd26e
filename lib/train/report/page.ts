// A report's page from its parts.

import { type Chart, chartsOf } from './charts.js'
import { clientCode } from './client.js'
import { documentOf } from './document.js'
import { html, type Markup } from './html.js'
import { chartCard, comparison, evaluations, questions, samples, settings, tiles } from './parts.js'
import type { Run } from './read.js'

const titles: Record<string, string> = { sft: 'Supervised warm start', grpo: 'Reinforcement learning (GRPO)' }

function stage(run: Run, charts: readonly Chart[]): Markup {
  return html`<h2 id="${run.name}">${titles[run.name] ?? run.name}</h2>
    <div class="grid">${charts.map(chartCard)}</div>
    <div class="stack" style="margin-top:14px">${samples(run.completions)}${settings(run.config)}</div>`
}

/** The page of one run (with its stages), or of several compared. */
export function page(runs: readonly Run[]): string {
  const run = runs[0]!
  const several = runs.length > 1
  const title = several ? runs.map((r) => r.name).join(', ') : run.name
  const stages = several ? [] : run.stages.length > 0 ? [...run.stages].reverse() : [run]
  const drawn = stages.map((s, i) => ({ run: s, charts: chartsOf([s], `s${i}-`) }))
  const overlaid = several ? chartsOf(runs) : []
  const body = several
    ? html`${comparison(runs)}<h2>Metrics</h2><div class="grid">${overlaid.map(chartCard)}</div>`
    : html`${tiles(run)}${evaluations(run.evaluations)}${questions(run.questions)}${drawn.map((d) => stage(d.run, d.charts))}`
  const data = several ? overlaid : drawn.flatMap((d) => d.charts)
  return documentOf({ title, subtitle: subtitle(runs), body, data, client: clientCode })
}

function subtitle(runs: readonly Run[]): string {
  if (runs.length > 1) return `${runs.length} runs compared`
  const { config, stages } = runs[0]!
  const all = { ...stages.at(-1)?.config, ...config }
  const dataset = all.dataset as { path?: string } | string | undefined
  const data = typeof dataset === 'object' ? dataset.path : dataset
  return [all.model, data, all.device && all.device !== 'auto' && `on ${all.device}`].filter(Boolean).join(' · ')
}
