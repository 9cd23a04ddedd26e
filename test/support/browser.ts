// Opens pages in the system's Chromium. playwright-core brings no browser of its own, and none is fetched.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import * as assert from 'uvu/assert'

/** `CALLGRAD_CHROMIUM`, else the first Chromium or Chrome on the path; undefined where there is none. */
export function findChromium(): string | undefined {
  const named = process.env.CALLGRAD_CHROMIUM
  if (named) return named
  const folders = (process.env.PATH ?? '').split(delimiter)
  return ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((file) => existsSync(file))
}

/** Starts the browser; null, with a printed line, where the machine has none. */
export async function openBrowser(): Promise<Browser | null> {
  const executablePath = findChromium()
  if (!executablePath) {
    console.log(
      'skipped: no Chromium here (as root on Debian: apt-get install chromium; or name one in CALLGRAD_CHROMIUM)',
    )
    return null
  }
  try {
    // Chromium's sandbox refuses to run as root, which containers are.
    const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
    return await chromium.launch({ executablePath, args })
  } catch (error) {
    // What a distribution calls chromium may be a script that asks for another package. One that was named has to work.
    if (process.env.CALLGRAD_CHROMIUM) throw error
    console.log(`skipped: ${executablePath} does not start: ${(error as Error).message.split('\n')[0]}`)
    return null
  }
}

export interface OpenedPage {
  page: Page
  /** Errors and warnings of the console, exceptions, and every request but the one for the file. */
  complaints: string[]
}

export interface View {
  width: number
  height?: number
  dark?: boolean
}

/** Opens a file of the disk in a fresh profile that has no network. */
export async function openFile(
  browser: Browser,
  file: string,
  { width, height = 800, dark = false }: View,
): Promise<OpenedPage> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    offline: true,
    deviceScaleFactor: 1,
  })
  const page = await context.newPage()
  const complaints: string[] = []
  const url = pathToFileURL(file).href
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`))
  page.on('request', (request) => {
    if (request.url() !== url) complaints.push(`request: ${request.url().slice(0, 200)}`)
  })
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(url)
  return { page, complaints }
}

// What runs in the page is text, because these sources are compiled without the names of the DOM.

/** How many pixels the page can be scrolled sideways, and what sticks out of the screen without a scrolling box around it. */
export async function sideways(page: Page): Promise<{ pixels: number; elements: string[] }> {
  return page.evaluate<{ pixels: number; elements: string[] }>(`(() => {
    const width = document.documentElement.clientWidth
    const boxed = (element) =>
      element !== null && (/auto|scroll|hidden/.test(getComputedStyle(element).overflowX) || boxed(element.parentElement))
    const out = [...document.body.querySelectorAll('*')].filter((element) => {
      const box = element.getBoundingClientRect()
      return box.width > 0 && box.right > width + 1 && !boxed(element.parentElement)
    })
    return {
      pixels: document.documentElement.scrollWidth - width,
      elements: out.slice(0, 5).map((element) => element.tagName + '.' + element.className),
    }
  })()`)
}

/** Charts whose canvas has nothing on it. */
export async function blankCharts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`[...document.querySelectorAll('.plot')].flatMap((plot) => {
    const canvas = plot.querySelector('canvas')
    const pixels = canvas && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    return pixels && pixels.some((value, i) => i % 4 === 3 && value > 0) ? [] : [plot.id]
  })`)
}

const views: readonly View[] = [{ width: 1280 }, { width: 1280, dark: true }, { width: 360, height: 740 }]

/**
 * Opens a page on a wide screen, in the dark, and on a narrow screen; it has to be quiet (no errors, no requests), to fit the screen, to
 * have drawn every chart, and to have `charts` of them at least. `inspect` looks at each view further.
 */
export async function checkPage(
  browser: Browser,
  file: string,
  {
    charts = 0,
    inspect = async () => {},
  }: { charts?: number; inspect?: (page: Page, view: View) => Promise<void> } = {},
): Promise<void> {
  for (const view of views) {
    const { page, complaints } = await openFile(browser, file, view)
    const where = `${file} at ${view.width} px${view.dark ? ', dark' : ''}`
    await page.waitForTimeout(50)
    const drawn = await page.locator('.plot').count()
    assert.ok(drawn >= charts, `${where}: expected ${charts} charts, got ${drawn}`)
    assert.equal(await blankCharts(page), [], where)
    assert.equal(await sideways(page), { pixels: 0, elements: [] }, where)
    await inspect(page, view)
    assert.equal(await sideways(page), { pixels: 0, elements: [] }, `${where}, after use`)
    assert.equal(complaints, [], where)
    await page.context().close()
  }
}
