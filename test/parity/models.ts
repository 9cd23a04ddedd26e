import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packSequences } from '../../lib/batch.js'
import { loadModel } from '../../lib/model.js'
import { forwardLogprobs } from '../../lib/nn/forward.js'
import type { FamilyResult, ParityOptions } from './result.js'

/** Tiny random models against transformers: log-probs, the SFT loss of one sequence, its gradients by parameter. */
export const families = ['models']

interface Expected {
  sequences: number[][]
  logprobs: number[][]
  sft_loss: number
  sft_sequence: number
  grads: Record<string, { norm: number; first: number[] }>
}

export async function run(root: string, { device }: ParityOptions): Promise<FamilyResult[]> {
  const folder = join(root, 'models')
  if (!existsSync(folder)) return []
  const result: FamilyResult = { family: 'models', cases: 0, failed: 0, max_error: 0, messages: [] }
  for (const name of readdirSync(folder).sort()) {
    if (!existsSync(join(folder, name, 'expected.json'))) continue
    result.cases++
    const problems = await compare(join(folder, name), device, (error) => {
      result.max_error = Math.max(result.max_error, error)
    })
    if (problems.length) result.failed++
    result.messages.push(...problems.map((p) => `models: ${name}: ${p}`))
  }
  return [result]
}

async function compare(path: string, device: string, seen: (error: number) => void): Promise<string[]> {
  const expected: Expected = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8'))
  const model = await loadModel(path, { device, dtype: 'f32' })
  const problems: string[] = []
  const check = (what: string, got: number, want: number, tolerance: number) => {
    const error = Math.abs(got - want)
    if (!(error <= tolerance)) problems.push(`${what}: expected ${want}, got ${got}`)
  }
  try {
    const logprobs = await model.logprobs(expected.sequences)
    for (const [s, row] of expected.logprobs.entries()) {
      for (const [t, want] of row.entries()) {
        seen(Math.abs(logprobs[s]![t]! - want))
        check(`log-prob ${t} of sequence ${s}`, logprobs[s]![t]!, want, 1e-4)
      }
    }

    const batch = packSequences([{ tokens: expected.sequences[expected.sft_sequence]! }])
    model.params.zeroGrad()
    const scores = forwardLogprobs(model.params, batch, { train: true })
    const { logprob } = await scores.read()
    const n = logprob.length
    check('sft loss', -logprob.reduce((a, b) => a + b, 0) / n, expected.sft_loss, 1e-5)
    scores.backward(new Float32Array(n).fill(-1 / n))
    scores.dispose()
    for (const [name, { norm, first }] of Object.entries(expected.grads)) {
      const grad = await model.params.readGrad(name)
      check(`gradient norm of ${name}`, Math.sqrt(grad.reduce((a, b) => a + b * b, 0)), norm, 1e-3 * norm)
      for (const [i, want] of first.entries()) check(`gradient ${i} of ${name}`, grad[i]!, want, 1e-5)
    }
  } finally {
    model.dispose()
  }
  return problems
}
