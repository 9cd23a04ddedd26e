// HTML in which every value is text unless it was made here. What a model wrote is untrusted: it reaches a page only through `html`
// (as characters) or `jsonScript` (as JSON in which no character can end the element).

/** Markup that was built by this module. */
export class Markup {
  constructor(readonly text: string) {}
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Characters as HTML text or attribute value; control characters, which HTML forbids, become U+FFFD. */
export function escapeHtml(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (c) => entities[c]!)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it removes
      .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\p{Surrogate}/gu, '\ufffd')
  )
}

type Value = Markup | string | number | null | undefined | false | readonly Value[]

function render(value: Value): string {
  if (value instanceof Markup) return value.text
  if (Array.isArray(value)) return value.map(render).join('')
  return value === null || value === undefined || value === false ? '' : escapeHtml(String(value))
}

/** Template tag: `html\`<p>${text}</p>\`` escapes text, keeps Markup, joins lists, drops null and false. */
export function html(strings: TemplateStringsArray, ...values: Value[]): Markup {
  return new Markup(strings.reduce((all, part, i) => all + render(values[i - 1]) + part))
}

/** Markup from a constant of ours: style sheets, scripts. Never for data. */
export const trusted = (text: string) => new Markup(text)

/** Data for scripts: a JSON element that nothing inside can end. */
export function jsonScript(id: string, data: unknown): Markup {
  const json = JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return new Markup(`<script type="application/json" id="${escapeHtml(id)}">${json}</script>`)
}
