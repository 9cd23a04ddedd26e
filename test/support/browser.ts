// Opens pages in the system's Chromium. playwright-core brings no browser of its own, and none is fetched.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'

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
  // Chromium's sandbox refuses to run as root, which containers are.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
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
