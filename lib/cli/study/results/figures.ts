// Small SVG figures that a page on a code host shows: no script, no font of their own, a white ground that dark pages bear.

import type { Estimate } from '../../../eval/intervals.js'

const palette = ['#1f6feb', '#cf6a00', '#1a7f37', '#8250df', '#bf3989', '#57606a']
const ink = '#24292f'
const faint = '#d0d7de'

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const at = (value: number) => value.toFixed(1)

const label = (x: number, y: number, text: string, more = '') =>
  `<text x="${at(x)}" y="${at(y)}" ${more}>${escaped(text)}</text>`

const line = (x1: number, y1: number, x2: number, y2: number, colour: string, width = 1) =>
  `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${colour}" stroke-width="${width}"/>`

function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  const style = `font-family="system-ui, sans-serif" font-size="13" fill="${ink}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ${style}>`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

export interface DotRow {
  label: string
  /** Over all seeds; null where it was not measured. */
  pooled: Estimate | null
  seeds: number[]
}

/** Shares as points with their intervals, a row each; small rings are the single seeds. */
export function dotPlot(title: string, rows: readonly DotRow[]): string {
  const [width, left, right, top, step] = [720, 230, 30, 44, 30]
  const height = top + step * rows.length + 30
  const most = Math.max(0.1, ...rows.flatMap(({ pooled, seeds }) => [pooled?.high ?? 0, ...seeds]))
  const end = Math.min(1, Math.ceil(most * 10 + 0.2) / 10)
  const x = (share: number) => left + ((width - left - right) * Math.max(0, share)) / end
  const ticks = Array.from({ length: Math.round(end * 10) + 1 }, (_, i) => i / 10)
  const bottom = top + step * rows.length
  return svg(width, height, title, [
    label(16, 24, title, 'font-weight="600"'),
    ...ticks.flatMap((tick) => [
      line(x(tick), top - 6, x(tick), bottom, faint),
      label(x(tick), bottom + 18, `${Math.round(100 * tick)} %`, 'text-anchor="middle" font-size="11"'),
    ]),
    ...rows.flatMap(({ label: name, pooled, seeds }, i) => {
      const y = top + step * (i + 0.5)
      const text = label(left - 12, y + 4, name, 'text-anchor="end"')
      if (pooled === null) return [text, label(left + 8, y + 4, 'not run yet', `fill="#57606a" font-size="11"`)]
      return [
        text,
        line(x(pooled.low), y, x(pooled.high), y, palette[0]!, 3),
        ...seeds.map((s) => `<circle cx="${at(x(s))}" cy="${at(y)}" r="3.5" fill="none" stroke="${ink}"/>`),
        `<circle cx="${at(x(pooled.value))}" cy="${at(y)}" r="5" fill="${palette[0]}"/>`,
      ]
    }),
  ])
}

export interface Curve {
  label: string
  /** Curves of one group share a colour. */
  group: number
  points: { x: number; y: number }[]
}

const smoothed = 5

/** Means over five neighbours: what is drawn of a noisy value. */
function runningMean(points: Curve['points']): Curve['points'] {
  return points.map(({ x }, i) => {
    const near = points.slice(Math.max(0, i - smoothed + 1), i + 1)
    return { x, y: near.reduce((sum, { y }) => sum + y, 0) / near.length }
  })
}

/** Shares over steps, a running mean of five steps each; the names stand below. */
export function curvePlot(title: string, curves: readonly Curve[]): string {
  const [width, left, right, top, plot] = [720, 52, 20, 44, 240]
  const rows = Math.ceil(curves.length / 2)
  const height = top + plot + 40 + 20 * rows
  const last = Math.max(2, ...curves.flatMap(({ points }) => points.map(({ x }) => x)))
  const x = (step: number) => left + ((width - left - right) * (step - 1)) / (last - 1)
  const y = (share: number) => top + plot * (1 - Math.min(1, Math.max(0, share)))
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((tick) => [
    line(left, y(tick), width - right, y(tick), faint),
    label(left - 8, y(tick) + 4, `${100 * tick} %`, 'text-anchor="end" font-size="11"'),
  ])
  const seen = new Map<number, number>()
  const drawn = curves.map(({ label: name, group, points }, i) => {
    const colour = palette[group % palette.length]!
    const times = seen.get(group) ?? 0
    seen.set(group, times + 1)
    const dash = times > 0 ? ` stroke-dasharray="${2 + 3 * times} 3"` : ''
    const path = runningMean(points).map((p) => `${at(x(p.x))},${at(y(p.y))}`)
    const [lx, ly] = [left + (i % 2) * 330, top + plot + 44 + 20 * Math.floor(i / 2)]
    const stroke = `stroke="${colour}" stroke-width="2"${dash}`
    return [
      `<polyline points="${path.join(' ')}" fill="none" ${stroke}/>`,
      `<line x1="${lx}" y1="${ly - 4}" x2="${lx + 24}" y2="${ly - 4}" ${stroke}/>`,
      label(lx + 30, ly, name, 'font-size="12"'),
    ].join('\n')
  })
  return svg(width, height, title, [
    label(16, 24, title, 'font-weight="600"'),
    ...grid,
    label(left, top + plot + 18, 'step 1', 'font-size="11"'),
    label(width - right, top + plot + 18, `step ${last}`, 'text-anchor="end" font-size="11"'),
    ...drawn,
  ])
}
