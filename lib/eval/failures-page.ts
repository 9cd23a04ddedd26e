// A page to browse what a model got wrong: question, answer, expected, reason. One file, no network, no script from anywhere.

import { createHash } from 'node:crypto'
import type { Answer } from './asker.js'

/** One failure, all in plain text. */
export interface FailureEntry {
  id: string
  /** Groups and filters: the benchmark's category and its name of the error. */
  category: string
  errorType: string
  /** What was wrong, in words. */
  reasons: readonly string[]
  question: string
  answer: string
  expected: string
  /** Further sections, as the functions that were offered. */
  more?: readonly { title: string; text: string }[]
}

/** What a model said and called, to be read. */
export function shownAnswer({ text, calls = [] }: Answer): string {
  const called = calls.map(({ name, arguments: source }) => `${name} ${source}`)
  return [text, ...called].filter((part) => part !== '').join('\n') || '(nothing)'
}

export interface FailuresPage {
  title: string
  /** Lines under the title. */
  summary: readonly string[]
  failures: readonly FailureEntry[]
}

/** The page as HTML. Texts of models and files are escaped: nothing in them can become markup. */
export function failuresPage({ title, summary, failures }: FailuresPage): string {
  const categories = [...new Set(failures.map(({ category }) => category))]
  const errors = [...new Set(failures.map(({ errorType }) => errorType))].sort()
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'">
<title>${markup(title)}</title><style>${style}</style></head><body>
<h1>${markup(title)}</h1>
${summary.map((line) => `<p>${markup(line)}</p>`).join('\n')}
<form id="filters">
<label>Category <select id="category"><option value="">all</option>${categories.map(option).join('')}</select></label>
<label>Error <select id="error"><option value="">all</option>${errors.map(option).join('')}</select></label>
<label>Text <input id="text" type="search" autocomplete="off"></label>
<output id="count">${failures.length} of ${failures.length}</output>
</form>
<main>
${failures.map(entry).join('\n')}
</main>
<script>${script}</script>
</body></html>
`
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const markup = (text: string) => text.replace(/[&<>"']/g, (c) => escapes[c]!)
const option = (value: string) => `<option>${markup(value)}</option>`

function entry({ id, category, errorType, reasons, question, answer, expected, more = [] }: FailureEntry): string {
  const section = (name: string, text: string) => `<h3>${markup(name)}</h3><pre>${markup(text)}</pre>`
  const extra = more.map(
    (part) => `<details><summary>${markup(part.title)}</summary><pre>${markup(part.text)}</pre></details>`,
  )
  return `<details class="failure" data-category="${markup(category)}" data-error="${markup(errorType)}">
<summary><b>${markup(id)}</b> <span>${markup(errorType)}</span></summary>
${section('Why', reasons.join('\n'))}${section('Question', question)}${section('Answer', answer)}${section('Expected', expected)}${extra.join('')}
</details>`
}

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; overflow-wrap: anywhere; padding: 1rem; }
h1 { font-size: 1.4rem; } h3 { font-size: .85rem; margin: .8rem 0 .2rem; opacity: .7; }
form { display: flex; flex-wrap: wrap; gap: .5rem 1rem; padding: .5rem 0; position: sticky; top: 0; background: Canvas; }
.failure { border-top: 1px solid #8884; padding: .4rem 0; }
summary { cursor: pointer; } summary span { opacity: .7; }
pre { background: #8881; border-radius: 4px; margin: 0; overflow-wrap: anywhere; padding: .5rem; white-space: pre-wrap; }
form label { display: inline-flex; flex-wrap: wrap; gap: 0 .4rem; align-items: baseline; max-width: 100%; }
select, input { font: inherit; max-width: 100%; min-width: 0; }`

const script = `
const all = [...document.querySelectorAll('.failure')], at = (id) => document.getElementById(id)
const filter = () => {
  const [category, error, text] = ['category', 'error', 'text'].map((id) => at(id).value)
  let shown = 0
  for (const entry of all) {
    entry.hidden = (category && entry.dataset.category !== category) || (error && entry.dataset.error !== error) ||
      (text && !entry.textContent.toLowerCase().includes(text.toLowerCase()))
    if (!entry.hidden) shown++
  }
  at('count').textContent = shown + ' of ' + all.length
}
at('filters').addEventListener('input', filter)
at('filters').addEventListener('submit', (event) => event.preventDefault())`

// The policy allows this script and no other.
const scriptHash = createHash('sha256').update(script).digest('base64')
