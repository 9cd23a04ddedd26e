import { type Handler, isToolN1 } from '../tool-calls.js'
import type { BfclVersion, Language } from './categories.js'
import type { Decoded } from './check.js'
import { decodePrompt } from './decode/prompt.js'
import { decodeQwen, decodeToolN1 } from './decode/tool-calls.js'

export { loadGrammars } from './decode/tree-sitter.js'

/**
 * The calls of an answer as the handler's official decoder reads them: a list of `{name: {argument: value}}`, or another value where the
 * decoder lets it pass, or why it fails. Time is linear in the text. Java and JavaScript under `prompt` need `loadGrammars()` before.
 */
export function decodeAnswer(text: string, handler: Handler, language: Language, version: BfclVersion): Decoded {
  if (isToolN1(handler)) return decodeToolN1(text)
  if (handler === 'qwen-fc') return decodeQwen(text)
  return decodePrompt(text, language, version)
}
