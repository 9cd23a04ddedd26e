// A report's page from its parts. It stands alone: scripts and styles are inside, and its own policy forbids it the network and any
// script but these two, whatever a model has written into a completion.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Chart, chartsOf } from './charts.js'
import { clientCode } from './client.js'
import { html, jsonScript, type Markup, trusted } from './html.js'
import { chartCard, comparison, evaluations, questions, samples, settings, tiles } from './parts.js'
import type { Run } from './read.js'
import { styleSheet } from './styles.js'

const require = createRequire(import.meta.url)
const plotFile = (name: string) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8')

/** Code inside a script element ends at the first `</script`, also in a string literal. */
const safeCode = (code: string) => code.replace(/<\/(script)/gi, '<\\/$1')
const hashOf = (code: string) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`

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
  const codes = [plotFile('uPlot.iife.min.js'), clientCode].map(safeCode)
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src ${codes.map(hashOf).join(' ')}`
  const document = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${title} · callgrad</title>
<style>${trusted(plotFile('uPlot.min.css'))}${trusted(styleSheet)}</style></head>
<body><main><header><h1>${title}</h1><p class="quiet">${subtitle(runs)}</p></header>
${body}
<footer>Written by callgrad. Charts by uPlot (MIT licence).</footer></main>
${jsonScript('chart-data', several ? overlaid : drawn.flatMap((d) => d.charts))}
${codes.map((code) => html`<script>${trusted(code)}</script>`)}
</body></html>
`
  return document.text
}

function subtitle(runs: readonly Run[]): string {
  if (runs.length > 1) return `${runs.length} runs compared`
  const { config, stages } = runs[0]!
  const all = { ...stages.at(-1)?.config, ...config }
  const dataset = all.dataset as { path?: string } | string | undefined
  const data = typeof dataset === 'object' ? dataset.path : dataset
  return [all.model, data, all.device && all.device !== 'auto' && `on ${all.device}`].filter(Boolean).join(' · ')
}
