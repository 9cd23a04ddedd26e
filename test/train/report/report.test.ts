import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chartsOf, runningMean } from '../../../lib/train/report/charts.js'
import { escapeHtml, html, jsonScript } from '../../../lib/train/report/html.js'
import { overlayCharts } from '../../../lib/train/report/overlay.js'
import { readRun } from '../../../lib/train/report/read.js'
import { writeComparison, writeReport } from '../../../lib/train/report.js'

const hostile = `</script><script>alert('pwned')</script><img src=x onerror="alert(1)"><!-- ]]> \u2028 \u0000 \ud800`

const test = suite<{ folder: string }>('report')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-report-'))
})
test.after.each((context) => rmSync(context.folder, { recursive: true, force: true }))

const lines = (records: readonly object[]) => `${records.map((r) => JSON.stringify(r)).join('\n')}\n`

function writeRun(folder: string, steps = 60): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ model: hostile, beta: 0.001, dataset: { path: 'd.jsonl' } }),
  )
  const metrics = Array.from({ length: steps }, (_, i) => ({
    step: i + 1,
    reward: i / steps,
    kl: 0.01 * i,
    'completions/mean_length': 50,
    'completions/min_length': 40,
    'completions/max_length': 70,
    'timing/rollout': 2,
    'timing/update': 3,
    'timing/total': 5,
    step_time: 5,
  }))
  writeFileSync(join(folder, 'metrics.jsonl'), `${lines(metrics)}{"step": 61, "rew`)
  const completions = [1, 30, 60].flatMap((step) =>
    Array.from({ length: 9 }, (_, i) => ({
      step,
      id: hostile,
      prompt: hostile,
      completion: `<think>${hostile}</think><tool_call>${hostile}</tool_call> number ${i}`,
      truth: hostile,
      reward: i / 8,
      explain: hostile,
    })),
  )
  writeFileSync(join(folder, 'completions.jsonl'), lines(completions))
  const exactMatch = { value: 0.5, low: 0.4, high: 0.6 }
  writeFileSync(join(folder, 'eval.jsonl'), lines([{ label: hostile, n: 100, exactMatch }]))
  const answers = [{ label: hostile, text: hostile, right: false, explain: hostile }]
  writeFileSync(join(folder, 'questions.jsonl'), lines([{ question: hostile, truth: hostile, answers }]))
}

/** The page without the elements that are the report's own: what is left must hold no live markup of the model's. */
function elements(page: string): string[] {
  return [...page.matchAll(/<(?!\/)([a-z!][a-z0-9-]*)/gi)].map((m) => m[1]!.toLowerCase())
}

test('what a model wrote stays text', async ({ folder }) => {
  writeRun(folder)
  const page = readFileSync(await writeReport(folder), 'utf8')
  assert.is(elements(page).filter((name) => name === 'script').length, 3)
  assert.not.ok(elements(page).includes('img'))
  assert.not.match(page, /<[^>]*\sonerror=/)
  assert.not.match(page, "alert('pwned')")
  assert.not.match(page, '<!--')
  assert.match(page, '&lt;/script&gt;&lt;script&gt;alert(&#39;pwned&#39;)')
})

test('the policy allows the two scripts of the page and no other', async ({ folder }) => {
  writeRun(folder)
  const page = readFileSync(await writeReport(folder), 'utf8')
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!.replaceAll('&#39;', "'")
  assert.match(policy, "default-src 'none'")
  const { createHash } = await import('node:crypto')
  const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map((m) => m[1]!)
  assert.is(scripts.length, 2)
  for (const code of scripts) assert.match(policy, `'sha256-${createHash('sha256').update(code).digest('base64')}'`)
})

test('the page needs no network', async ({ folder }) => {
  writeRun(folder)
  const page = readFileSync(await writeReport(folder), 'utf8')
  assert.not.match(page, /<(?:link|iframe|object|base)\b/)
  assert.not.match(page, /<[^>]*\b(?:src|href)="/)
  assert.not.match(page, /@import|url\(/)
})

test('chart data survives as JSON', async ({ folder }) => {
  writeRun(folder)
  const page = readFileSync(await writeReport(folder), 'utf8')
  const charts = JSON.parse(/id="chart-data">([\s\S]*?)<\/script>/.exec(page)![1]!) as { id: string; x: number[] }[]
  const reward = charts.find((chart) => chart.id === 's0-reward')!
  assert.is(reward.x.length, 60)
  for (const chart of charts) assert.match(page, `id="plot-${chart.id}"`)
})

test('a run is read without its cut last line, and shows best and worst completions', async ({ folder }) => {
  writeRun(folder)
  const run = await readRun(folder)
  assert.is(run.metrics.length, 60)
  assert.equal(
    run.completions.filter((c) => c.step === 60).map((c) => c.reward),
    [1, 7 / 8, 1 / 8, 0],
  )
})

test('stages stand in one report, and a folder that is no run is refused', async ({ folder }) => {
  writeRun(join(folder, 'q', 'grpo'))
  writeRun(join(folder, 'q', 'sft'))
  assert.equal(
    (await readRun(join(folder, 'q'))).stages.map((s) => s.name),
    ['sft', 'grpo'],
  )
  assert.match(readFileSync(await writeReport(join(folder, 'q')), 'utf8'), 'Supervised warm start')
  mkdirSync(join(folder, 'empty'))
  for (const wrong of ['empty', 'missing']) {
    const error = await writeReport(join(folder, wrong)).then(
      () => null,
      (e: Error & { code?: string }) => e,
    )
    assert.is(error?.code, 'ERR_IO')
  }
})

test('several runs are drawn over each other', async ({ folder }) => {
  writeRun(join(folder, 'a'), 20)
  writeRun(join(folder, 'b'), 40)
  const runs = await Promise.all(['a', 'b'].map((name) => readRun(join(folder, name))))
  const settings = runs.map((run) => ({ name: run.name, members: [run] }))
  const reward = overlayCharts(settings).paper.find((chart) => chart.id === 'reward')!
  assert.equal(
    reward.series.map((s) => s.label),
    ['a', 'b'],
  )
  assert.is(reward.x.length, 40)
  assert.is(reward.series[0]!.values[39], null)
  const { report } = await writeComparison([join(folder, 'a'), join(folder, 'b')], {
    target: join(folder, 'both.html'),
  })
  assert.match(readFileSync(report, 'utf8'), '2 runs compared')
})

test('stacked phases add up, and totals are no phase', async ({ folder }) => {
  writeRun(folder)
  const time = chartsOf(await readRun(folder)).find((chart) => chart.id === 'time')!
  assert.equal(
    time.series.map((s) => [s.label, s.shown?.[0], s.low?.[0], s.values[0]]),
    [
      ['update', 3, 0, 3],
      ['rollout', 2, 3, 5],
    ],
  )
})

test('a long run is a small page', async ({ folder }) => {
  writeRun(folder, 20_000)
  const reward = chartsOf(await readRun(folder)).find((chart) => chart.id === 'reward')!
  assert.ok(reward.x.length <= 801)
  assert.is(reward.x.at(-1), 20_000)
})

test('html escapes values, keeps markup, joins lists', () => {
  assert.is(
    html`<b title="${'"><'}">${[html`<i>${'<'}</i>`, null, false, 0]}</b>`.text,
    '<b title="&quot;&gt;&lt;"><i>&lt;</i>0</b>',
  )
  assert.is(escapeHtml('a\u0000\ud800b'), 'a\ufffd\ufffdb')
  assert.not.match(jsonScript('x', hostile).text.slice(10, -9), /[<>]\/?(?:script|!)/)
  assert.equal(JSON.parse(/>([\s\S]*)<\/script>/.exec(jsonScript('x', [hostile]).text)![1]!)[0], hostile)
})

test('a running mean looks back and skips gaps', () => {
  assert.equal(runningMean([1, 3, null, 5], 2), [1, 2, null, 5])
})

test.run()
