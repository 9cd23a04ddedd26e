import { writeFileSync } from 'node:fs'
import { fail } from '../../errors.js'
import { documentOf } from '../../train/report/document.js'
import { html, type Markup } from '../../train/report/html.js'
import { opBenchNotes, opBenchTable } from './op-table.js'
import type { OpBenchReport } from './ops.js'
import { rooflineOf } from './roofline.js'
import { rooflineClient } from './roofline-client.js'

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const swatch = (color: string) => html`<li><i class="${color}" style="display:inline-block;margin-right:6px"></i>`

const numeric = /^[-–]?[\d.,e+-]*\s*[%x]?$/

function tableOf({ header, rows }: { header: readonly string[]; rows: readonly string[][] }): Markup {
  const isNumber = header.map((_, i) => rows.every((row) => numeric.test(row[i] ?? '')))
  const kind = (i: number) => (isNumber[i] ? 'num' : '')
  return html`<div class="scroll"><table>
    <thead><tr>${header.map((title, i) => html`<th class="${kind(i)}">${title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((cell, i) => html`<td class="${kind(i)}">${cell}</td>`)}</tr>`)}</tbody></table></div>`
}

/** The page of a report, complete in one file. */
export function rooflinePage(report: OpBenchReport): string {
  const data = rooflineOf(report)
  const measured = report.roofs !== null
  const reading = measured
    ? 'Operations over the least bytes of the op, against the rate that was measured; the lines are what copying and products reached in the same run.'
    : 'Operations over the bytes that were counted, at the least time that an H100 SXM would take for them; the lines are its data sheet. No time was measured.'
  const body = html`<div class="stack" style="margin-top:20px">
    <figure class="card"><figcaption><h3>Roofline</h3><p class="quiet">${reading}</p></figcaption>
      <div id="roofline" class="plot" style="min-height:320px"></div>
      <ul class="legend">${swatch('k0')}f32</li>${swatch('k1')}bf16</li>${Object.entries(data.ceilings).map(
        ([name, rate]) => html`<li>${name}: ${whole.format(rate)} GFLOP/s</li>`,
      )}<li>memory: ${whole.format(data.bandwidth)} GB/s</li></ul>
      <p class="quiet"><output id="point"></output>&nbsp;</p></figure>
    <section class="card">${tableOf(opBenchTable(report))}
      ${opBenchNotes(report).map((note) => html`<p class="quiet">${note}</p>`)}
      ${report.refused.map((r) => html`<p><span class="mark bad">not measured</span> ${r.op} ${r.dtype}: ${r.reason}</p>`)}</section></div>`
  const subtitle = `${report.device} · ${report.description} · ${report.cpu}, ${report.threads} threads · ${report.date}`
  return documentOf({ title: 'Ops', subtitle, body, data, client: rooflineClient })
}

/** @throws `ERR_IO` where the file cannot be written */
export function writeRooflinePage(file: string, report: OpBenchReport): void {
  try {
    writeFileSync(file, rooflinePage(report))
  } catch (error) {
    fail('Error', 'ERR_IO', `[bench] cannot write ${file}: ${(error as Error).message}`, error)
  }
}
