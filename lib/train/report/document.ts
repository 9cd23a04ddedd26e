// A page that stands alone: scripts and styles are inside, and its own policy forbids it the network and any script but its own,
// whatever a model has written into a completion.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { html, jsonScript, type Markup, trusted } from './html.js'
import { styleSheet } from './styles.js'

const require = createRequire(import.meta.url)
const plotFile = (name: string) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8')

/** Code inside a script element ends at the first `</script`, also in a string literal. */
const safeCode = (code: string) => code.replace(/<\/(script)/gi, '<\\/$1')
const hashOf = (code: string) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`

export interface PageParts {
  title: string
  subtitle: string
  body: Markup
  /** What `client` finds as JSON in the element `chart-data`. */
  data: unknown
  /** Plain JavaScript that draws with uPlot. */
  client: string
  /** A second script, with data in an element of its own. */
  more?: { id: string; data: unknown; client: string } | undefined
}

/** The whole document. */
export function documentOf({ title, subtitle, body, data, client, more }: PageParts): string {
  const codes = [plotFile('uPlot.iife.min.js'), client, ...(more ? [more.client] : [])].map(safeCode)
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src ${codes.map(hashOf).join(' ')}`
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${title} · callgrad</title>
<style>${trusted(plotFile('uPlot.min.css'))}${trusted(styleSheet)}</style></head>
<body><main><header><h1>${title}</h1><p class="quiet">${subtitle}</p></header>
${body}
<footer>Written by callgrad. Charts by uPlot (MIT licence).</footer></main>
${jsonScript('chart-data', data)}${more && jsonScript(more.id, more.data)}
${codes.map((code) => html`<script>${trusted(code)}</script>`)}
</body></html>
`.text
}
