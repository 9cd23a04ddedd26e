// The text half of the parity family `gguf`: rendered conversations and tokens of real models against an independent renderer.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCheckpoint } from '../../lib/formats/checkpoint.js'
import { type ChatMessage, Tokenizer } from '../../lib/text/tokenizer.js'

/** One case of `gguf/<name>/expected.json`. */
export interface GgufCase {
  messages: ChatMessage[]
  text: string
  tokens: number[]
  logprobs: number[]
  greedy: number[]
  greedy_text: string
  greedy_margin: number[]
}

/** A model of the family: its file under the models' folder, and its cases. */
export interface GgufFamilyModel {
  name: string
  path: string
  cases: GgufCase[]
}

/** The models under `root`/gguf; each must have exactly one .gguf file under `models`/<name>. */
export async function readGgufFamily(root: string, models: string): Promise<GgufFamilyModel[]> {
  const folder = join(root, 'gguf')
  const out: GgufFamilyModel[] = []
  for (const name of (await readdir(folder)).sort()) {
    const files = (await readdir(join(models, name))).filter((file) => file.endsWith('.gguf'))
    if (files.length !== 1) throw new Error(`expected one .gguf file in ${join(models, name)}, got ${files.length}`)
    const cases = JSON.parse(await readFile(join(folder, name, 'expected.json'), 'utf8')) as GgufCase[]
    out.push({ name, path: join(models, name, files[0]!), cases })
  }
  return out
}

/** What differs in text and tokens, one line a difference; empty where all agree. */
export function compareText(tokenizer: Tokenizer, { messages, text, tokens, greedy, greedy_text }: GgufCase): string[] {
  const failures: string[] = []
  const options = { addGenerationPrompt: true }
  const equal = (what: string, got: unknown, expected: unknown) => {
    if (JSON.stringify(got) !== JSON.stringify(expected)) {
      failures.push(
        `${what}: expected ${JSON.stringify(expected).slice(0, 120)}, got ${JSON.stringify(got).slice(0, 120)}`,
      )
    }
  }
  equal('text', tokenizer.renderChatTemplate(messages, options), text)
  equal('tokens', tokenizer.applyChatTemplate(messages, options), tokens)
  equal('encoded text', tokenizer.encode(text), tokens)
  equal('decoded tokens', tokenizer.decode(tokens), text)
  equal('greedy text', tokenizer.decode(greedy, { skipSpecialTokens: true }), greedy_text)
  return failures
}

/** Opens each model's tokenizer and compares all its cases. */
export async function checkGgufText(root: string, models: string): Promise<{ cases: number; failures: string[] }> {
  let cases = 0
  const failures: string[] = []
  for (const model of await readGgufFamily(root, models)) {
    const source = await openCheckpoint(model.path)
    try {
      if (!source.tokenizer) throw new Error(source.tokenizerMissing ?? 'no tokenizer')
      const tokenizer = new Tokenizer(source.tokenizer, { vocabSize: source.config.vocabSize })
      for (const [index, entry] of model.cases.entries()) {
        cases++
        for (const failure of compareText(tokenizer, entry)) failures.push(`${model.name} case ${index}: ${failure}`)
      }
    } finally {
      await source.dispose()
    }
  }
  return { cases, failures }
}
