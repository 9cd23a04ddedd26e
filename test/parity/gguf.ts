import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { loadModel } from '../../lib/model.js'
import { compareText, readGgufFamily } from './gguf-text.js'
import type { FamilyResult, ParityOptions } from './result.js'

/** A real quantised model: rendered text, tokens, log-probs against fp64, greedy tokens while their margin is clear. */
export const families = ['gguf']

export async function run(root: string, { models, device }: ParityOptions): Promise<FamilyResult[]> {
  if (!existsSync(join(root, 'gguf'))) return []
  const result: FamilyResult = { family: 'gguf', cases: 0, failed: 0, max_error: 0, messages: [] }
  for (const entry of await readGgufFamily(root, models)) {
    const model = await loadModel(entry.path, { device, dtype: 'f32' })
    try {
      const logprobs = await model.logprobs(entry.cases.map((c) => c.tokens))
      for (const [i, expected] of entry.cases.entries()) {
        const problems = compareText(model.tokenizer, expected)
        for (const [t, want] of expected.logprobs.entries()) {
          const error = Math.abs(logprobs[i]![t]! - want)
          result.max_error = Math.max(result.max_error, error)
          if (!(error <= 2e-3)) problems.push(`log-prob ${t}: expected ${want}, got ${logprobs[i]![t]}`)
        }
        const [greedy] = await model.generate({
          prompts: [expected.tokens],
          n: 1,
          maxTokens: expected.greedy.length,
          temperature: 0,
        })
        const clear = expected.greedy_margin.findIndex((margin) => margin < 0.02)
        const compared = clear < 0 ? expected.greedy.length : clear
        for (let t = 0; t < compared; t++) {
          if (greedy!.tokens[t] === expected.greedy[t]) continue
          problems.push(`greedy token ${t}: expected ${expected.greedy[t]}, got ${greedy!.tokens[t]}`)
          break
        }
        result.cases++
        if (problems.length) result.failed++
        result.messages.push(...problems.map((p) => `gguf: ${entry.name} case ${i}: ${p}`))
      }
    } finally {
      model.dispose()
    }
  }
  return [result]
}
