// A report's page from its parts.

import { benchmark } from './benchmarks.js'
import { type Chart, chartsOf } from './charts.js'
import { clientCode } from './client.js'
import { contents, curves, runsTable } from './compare.js'
import type { DataSet } from './datasets.js'
import { difference, differenceData } from './difference.js'
import { differenceCode } from './difference-client.js'
import { documentOf } from './document.js'
import { html, type Markup } from './html.js'
import { overlayCharts } from './overlay.js'
import { chartCard, evaluations, questions, samples, settings, tiles } from './parts.js'
import type { Run } from './read.js'
import type { Setting } from './settings.js'

const titles: Record<string, string> = { sft: 'Supervised warm start', grpo: 'Reinforcement learning (GRPO)' }

function stage(run: Run, charts: readonly Chart[]): Markup {
  return html`<h2 id="${run.name}">${titles[run.name] ?? run.name}</h2>
    <div class="grid">${charts.map(chartCard)}</div>
    <div class="stack" style="margin-top:14px">${samples(run.completions)}${settings(run.config)}</div>`
}

/** What a page is about: runs by setting, and results by what was asked. */
export interface PageContents {
  settings: readonly Setting<Run>[]
  dataSets: readonly DataSet[]
}

/** The page of one run (with its stages), or of several runs and results compared. */
export function page({ settings: own, dataSets }: PageContents): string {
  const runs = own.flatMap(({ members }) => members)
  const single = runs.length === 1 ? runs[0]! : null
  const stages = single ? (single.stages.length > 0 ? [...single.stages].reverse() : [single]) : []
  const drawn = stages.map((run, i) => ({ run, charts: chartsOf(run, `s${i}-`) }))
  const overlaid = single ? { paper: [], other: [] } : overlayCharts(own)
  const charts = [...overlaid.paper, ...overlaid.other, ...drawn.flatMap((stage) => stage.charts)]
  const { sets, limit } = differenceData(dataSets)
  const seeds = own.some(({ members }) => members.length > 1)
  const results = html`${dataSets.length > 0 && html`<h2 id="benchmarks">Evaluations</h2><div class="stack">${dataSets.map(benchmark)}</div>`}${difference(sets)}${limit < 4000 && html`<p class="quiet">Texts are cut at ${limit} characters.</p>`}`
  const body = single
    ? html`${tiles(single)}${evaluations(single.evaluations)}${questions(single.questions)}${results}${drawn.map((d) => stage(d.run, d.charts))}`
    : html`${contents([
        ['benchmarks', 'Evaluations', dataSets.length > 0],
        ['difference', 'Question by question', sets.length > 0],
        ['curves', 'Curves', overlaid.paper.length > 0],
        ['metrics', 'Other metrics', overlaid.other.length > 0],
        ['runs', 'Runs and settings', runs.length > 0],
      ])}${results}${charts.length > 0 && curves(overlaid, seeds)}${runs.length > 0 && runsTable(own)}`
  const more = sets.length > 0 ? { id: 'difference-data', data: sets, client: differenceCode } : undefined
  return documentOf({ ...heading(own, dataSets), body, data: charts, client: clientCode, more })
}

function heading(own: readonly Setting<Run>[], dataSets: readonly DataSet[]): { title: string; subtitle: string } {
  const runs = own.flatMap(({ members }) => members)
  if (runs.length === 1) return { title: runs[0]!.name, subtitle: subtitleOf(runs[0]!) }
  const names =
    runs.length > 0 ? own.map(({ name }) => name) : [...new Set(dataSets.flatMap((d) => d.models.map((m) => m.name)))]
  const more = names.length > 6 ? ` and ${names.length - 5} more` : ''
  const counts = [
    runs.length > 0 && `${runs.length} runs`,
    runs.length > own.length && `${own.length} settings`,
    dataSets.length > 0 && `${dataSets.reduce((sum, { models }) => sum + models.length, 0)} evaluations`,
  ]
  return {
    title: `${names.slice(0, more ? 5 : 6).join(', ')}${more}`,
    subtitle: `${counts.filter(Boolean).join(', ')} compared`,
  }
}

function subtitleOf({ config, stages }: Run): string {
  const all = { ...stages.at(-1)?.config, ...config }
  const dataset = all.dataset as { path?: string } | string | undefined
  const data = typeof dataset === 'object' ? dataset.path : dataset
  return [all.model, data, all.device && all.device !== 'auto' && `on ${all.device}`].filter(Boolean).join(' · ')
}
