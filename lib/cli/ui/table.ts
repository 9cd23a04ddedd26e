import { bold, dim, displayWidth, pad, padLeft } from './style.js'

/**
 * Rows under a header, columns as wide as they need. A column whose cells (dashes apart) are all numbers is aligned right.
 * Throws nothing: short rows are filled with nothing.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = header.map((title, i) => {
    const cells = rows.map((row) => row[i] ?? '')
    const numeric =
      cells.some((c) => /\d/.test(c)) &&
      cells.every((c) => /^(?:[-–+]?[\d.,]+\s*(?:%|[a-zA-Z/µ]{0,6})(?:\s.*)?|[-–]?)$/.test(c.trim()))
    const width = Math.max(displayWidth(title), ...cells.map(displayWidth))
    return { width, align: numeric ? padLeft : pad }
  })
  const line = (cells: readonly string[]) =>
    columns
      .map(({ width, align }, i) => align(cells[i] ?? '', width))
      .join('  ')
      .trimEnd()
  const rule = dim(columns.map(({ width }) => '─'.repeat(width)).join('  '))
  return [bold(line(header)), rule, ...rows.map(line)].map((text) => `  ${text}`).join('\n')
}

/** `key  value` lines, keys in one column. */
export function pairs(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([key]) => displayWidth(key)))
  return entries.map(([key, value]) => `  ${dim(pad(key, width))}  ${value}`).join('\n')
}

/** As much of a word as `room` columns hold. */
function prefixOf(word: string, room: number): string {
  let prefix = ''
  for (const char of word) {
    if (displayWidth(prefix + char) > room) break
    prefix += char
  }
  return prefix
}

/** Folds a text to `width` columns at spaces; longer words are cut. Every line gets `indent`. */
export function fold(text: string, width: number, indent = ''): string {
  const room = Math.max(10, width - displayWidth(indent))
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (let word of paragraph.split(' ')) {
      while (displayWidth(word) > room) {
        if (line) lines.push(line)
        line = ''
        const cut = prefixOf(word, room)
        lines.push(cut)
        word = word.slice(cut.length)
      }
      const longer = line ? `${line} ${word}` : word
      if (displayWidth(longer) > room) {
        lines.push(line)
        line = word
      } else line = longer
    }
    lines.push(line)
  }
  return lines.map((line) => `${indent}${line}`).join('\n')
}
