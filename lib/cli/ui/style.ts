// Colours and widths for terminals; plain text everywhere else (NO_COLOR, pipes, files).

const coloured = () => process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

const paint = (open: number, close: number) => (text: string) =>
  coloured() ? `\x1b[${open}m${text}\x1b[${close}m` : text

export const bold = paint(1, 22)
export const dim = paint(2, 22)
export const green = paint(32, 39)
export const red = paint(31, 39)
export const yellow = paint(33, 39)

/** Width of a text on screen: colours take none, wide characters two. */
export function displayWidth(text: string): number {
  let width = 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  for (const char of text.replace(/\x1b\[[0-9;]*m/g, '')) width += wide.test(char) ? 2 : 1
  return width
}

const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60]|\p{Emoji_Presentation}/u

/**
 * Text that came from a model or a file, safe to print: control characters (which could move the cursor or change the title) become
 * visible, line breaks and tabs stay.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it removes
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (c) =>
    c.charCodeAt(0) < 32 ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '\ufffd',
  )
}

export const pad = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - displayWidth(text)))
export const padLeft = (text: string, width: number) => ' '.repeat(Math.max(0, width - displayWidth(text))) + text

/** Columns for running text: the terminal's, but no line longer than is good to read. A terminal of no width says 0. */
export const textWidth = () => Math.min(110, process.stdout.columns || 100)
