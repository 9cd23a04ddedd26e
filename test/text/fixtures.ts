// Fixtures of scripts/goldens/tokenizers_and_templates.py, and a tokenizer small enough to reason about.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TokenizerFiles } from '../../lib/formats/model-source.js'
import { Tokenizer } from '../../lib/text/tokenizer.js'
import { repositoryRoot } from '../support/shared.js'

export interface TokenizerCase {
  text: string
  ids: number[]
  with_special: number[]
  decoded: string
  skipped: string
}

export function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(join(repositoryRoot, 'test', 'fixtures', 'text', name), 'utf8')) as T
}

export const families = ['gpt2', 'smollm', 'qwen2', 'llama3', 'llama2'] as const

export function family(name: string): { files: TokenizerFiles; cases: TokenizerCase[] } {
  const { tokenizer, cases } = fixture<{ tokenizer: unknown; cases: TokenizerCase[] }>(`tokenizer-${name}.json`)
  return { files: { tokenizerJson: JSON.stringify(tokenizer), tokenizerConfig: '{}', chatTemplate: null }, cases }
}

export const chatml =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

/** The GPT-2 style fixture with a chat template. */
export function chatTokenizer(chatTemplate: string | null = chatml): Tokenizer {
  return new Tokenizer({ ...family('gpt2').files, chatTemplate })
}

/** tokenizer.json with changes, for tests of bad files. */
export function changed(change: (json: Record<string, never>) => void): TokenizerFiles {
  const { files } = family('gpt2')
  const json = JSON.parse(files.tokenizerJson) as Record<string, never>
  change(json)
  return { ...files, tokenizerJson: JSON.stringify(json) }
}
