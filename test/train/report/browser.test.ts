// The pages in a real browser: nothing in the console, everything drawn, usable on a narrow screen and in the dark.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mcnemar } from '../../../lib/eval/paired.js'
import { writeComparison, writeReport } from '../../../lib/train/report.js'
import { blankCharts, checkPage, openBrowser, openFile, sideways } from '../../support/browser.js'
import { answerLines, hostile, longName, metricLines, writeBfcl, writeStudy } from './study.js'

const browser = await openBrowser()
const test = suite<{ folder: string }>('pages in a browser')
const check = browser ? test : test.skip
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-browser-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))
test.after(async () => {
  await browser?.close()
})

check(
  'the checks see what they should: a wide page, an error, a request, a chart that is not drawn',
  async ({ folder }) => {
    const file = join(folder, 'bad.html')
    writeFileSync(
      file,
      '<div style="width:900px">wide</div><div class="plot" id="p"><canvas></canvas></div><img src="missing.png"><script>oops()</script>',
    )
    const { page, complaints } = await openFile(browser!, file, { width: 360 })
    assert.ok((await sideways(page)).pixels > 500)
    assert.equal((await sideways(page)).elements.slice(0, 1), ['DIV.'])
    assert.equal(await blankCharts(page), ['p'])
    for (const kind of ['exception: oops is not defined', 'request: file://']) {
      assert.ok(
        complaints.some((line) => line.startsWith(kind)),
        `${kind} in ${complaints}`,
      )
    }
  },
)

const shown = (page: Page) => page.locator('.question')
const count = async (page: Page, id: string) => Number(await page.locator(`#count-${id}`).textContent())

check('a comparison: tables, curves, and what two models get right, filtered', async ({ folder }) => {
  const study = await writeStudy(folder, 60)
  mkdirSync(join(study, longName))
  writeFileSync(join(study, longName, 'dev.jsonl'), `${answerLines(60, 3, 'simple', longName).join('\n')}\n`)
  const { report } = await writeComparison([study], { target: join(folder, 'c.html') })
  await checkPage(browser!, report, {
    charts: 6,
    async inspect(page) {
      assert.is(await page.locator('.benchmark').count(), 2)
      assert.is(await page.locator('tr.paper').count(), 13)
      assert.is(await page.locator('tr.ours.mean').count(), 1)
      for (const box of await page.locator('.plot canvas').all()) assert.ok((await box.boundingBox())!.width > 200)
      await page.selectOption('#diff-set', { label: 'Questions (dev)' })
      await page.selectOption('#diff-a', { label: 'base' })
      await page.selectOption('#diff-b', { label: 'rl-s1' })
      // wrong: base every 2nd, rl-s1 every 4th of 60
      const counts = { both: 30, a: 0, b: 15, neither: 15 }
      for (const [kind, n] of Object.entries(counts)) assert.is(await count(page, kind), n, kind)
      const verdict = (await page.locator('#diff-verdict').textContent())!
      assert.match(verdict, 'A (base) has 50.0 % right, B (rl-s1) 75.0 % of 60 questions')
      assert.ok(mcnemar(0, 15) < 0.001)
      assert.match(verdict, 'p < 0.001')
      for (const [kind, n] of Object.entries({ ...counts, differ: 15 })) {
        await page.check(`input[value="${kind}"]`)
        assert.is(await shown(page).count(), Math.min(n, 25), kind)
      }
      await page.check('input[value="all"]')
      await page.click('#diff-more')
      assert.is(await shown(page).count(), 50)
      await page.fill('#diff-text', 'because 59')
      assert.is(await shown(page).count(), 1)
      await shown(page).locator('summary').click()
      const answers = shown(page).locator('.answers pre')
      await answers.first().waitFor() // written when the row opens
      assert.is(await answers.count(), 2)
      const said = (await answers.first().textContent())!
      for (const text of ["</script><script>alert('pwned')</script>", '<img src=x', 'because 59'])
        assert.match(said, text)
      assert.is(await answers.first().locator('.call').textContent(), '<tool_call>[{"name":"f59"}]</tool_call>')
      assert.is(await page.locator('img').count(), 0)
      await page.fill('#diff-text', 'nothing has this')
      assert.is(await page.locator('#diff-shown').textContent(), 'No question matches.')
      await page.fill('#diff-text', '')
      // another data set: its own models and categories
      await page.selectOption('#diff-set', { label: 'BFCL v4' })
      assert.is(await page.locator('#diff-category option').count(), 3)
      const all =
        (await count(page, 'both')) +
        (await count(page, 'a')) +
        (await count(page, 'b')) +
        (await count(page, 'neither'))
      await page.selectOption('#diff-category', '1')
      assert.ok((await count(page, 'both')) + (await count(page, 'b')) + (await count(page, 'neither')) < all)
      await page.check('input[value="neither"]')
      await shown(page).first().locator('summary').click()
      await shown(page).first().locator('h4').first().waitFor()
      assert.match((await shown(page).first().textContent())!, 'Question')
      // a series leaves its chart and comes back
      const button = page.locator('.legend button').first()
      await button.click()
      assert.is(await button.getAttribute('aria-pressed'), 'false')
      await button.click()
    },
  })
})

check('two thousand questions stay quick', async ({ folder }) => {
  for (const [k, name] of ['a', 'b'].entries()) {
    writeFileSync(join(folder, `${name}.jsonl`), `${answerLines(2000, k + 2, 'q').join('\n')}\n`)
  }
  const { report } = await writeComparison([join(folder, 'a.jsonl'), join(folder, 'b.jsonl')], {
    target: join(folder, 'c.html'),
  })
  const { page, complaints } = await openFile(browser!, report, { width: 1280 })
  assert.is(
    (await count(page, 'both')) + (await count(page, 'a')) + (await count(page, 'b')) + (await count(page, 'neither')),
    2000,
  )
  const ms = await page.evaluate<number>(`(() => {
    const text = document.getElementById('diff-text')
    document.querySelector('input[value="all"]').click()
    const start = performance.now()
    for (const value of ['b', 'be', 'because 1', 'because 19', '']) {
      text.value = value
      text.dispatchEvent(new Event('input', { bubbles: true }))
    }
    document.body.getBoundingClientRect()
    return (performance.now() - start) / 5
  })()`)
  assert.ok(ms < 500, `${ms.toFixed(0)} ms a key`) // a quiet machine takes 5
  assert.is(await shown(page).count(), 25)
  assert.equal(complaints, [])
})

check('the page of a run with its stages, as the quickstart leaves it', async ({ folder }) => {
  const run = join(folder, 'quick')
  const lines = (records: readonly object[]) => `${records.map((record) => JSON.stringify(record)).join('\n')}\n`
  for (const stage of ['sft', 'grpo']) {
    mkdirSync(join(run, stage), { recursive: true })
    writeFileSync(join(run, stage, 'metrics.jsonl'), lines(metricLines(1, 30)))
    writeFileSync(
      join(run, stage, 'config.json'),
      JSON.stringify({ seed: 0, model: longName, [longName]: hostile.repeat(5) }),
    )
    const completions = [1, 15, 30].map((step) => ({
      step,
      id: hostile,
      prompt: hostile,
      completion: hostile,
      truth: hostile,
      reward: 0.5,
    }))
    writeFileSync(join(run, stage, 'completions.jsonl'), lines(completions))
  }
  const exactMatch = { value: 0.5, low: 0.4, high: 0.6 }
  writeFileSync(join(run, 'eval.jsonl'), lines([{ label: `after ${longName} ${hostile}`, n: 100, exactMatch }]))
  const answers = [{ label: longName, text: hostile, right: false, explain: longName }]
  writeFileSync(join(run, 'questions.jsonl'), lines([{ question: longName, truth: hostile, answers }]))
  await checkPage(browser!, await writeReport(run), {
    charts: 8,
    async inspect(page) {
      for (const details of await page.locator('details:not([open]) > summary').all()) {
        if (await details.isVisible()) await details.click()
      }
      assert.is(await page.locator('img').count(), 0)
    },
  })
})

check("the page of a benchmark's failures", async ({ folder }) => {
  await writeBfcl(folder, 0)
  await checkPage(browser!, join(folder, 'failures.html'), {
    async inspect(page) {
      const all = await page.locator('.failure').count()
      assert.ok(all > 2)
      for (const details of await page.locator('.failure > summary').all()) await details.click()
      assert.match(
        (await page.locator('.failure pre').allTextContents()).join('\n'),
        "</script><script>alert('pwned')</script>",
      )
      await page.selectOption('#category', { index: 1 })
      const visible = await page.locator('.failure:visible').count()
      assert.ok(visible > 0 && visible < all)
      assert.is(await page.locator('#count').textContent(), `${visible} of ${all}`)
      assert.is(await page.locator('img').count(), 0)
    },
  })
})

test.run()
