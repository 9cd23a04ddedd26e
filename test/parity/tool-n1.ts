import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Variant, variants } from '../../lib/reward/parse.js'
import { scoreToolCalls } from '../../lib/reward/tool-call.js'

export const family = 'tool_n1'

export interface FamilyResult {
  family: string
  cases: number
  failed: number
  max_error: number
  messages: string[]
}

interface RewardRow {
  mut: string
  completion: string
  truth: string
  scores: Record<Variant, number>
}

/** Compares with Tool-N1's released code everything that `root`/tool_n1 holds; null where it holds nothing. */
export async function run(root: string): Promise<FamilyResult | null> {
  const folder = join(root, 'tool_n1')
  if (!existsSync(folder)) return null
  const result: FamilyResult = { family, cases: 0, failed: 0, max_error: 0, messages: [] }
  checkRewards(join(folder, 'rewards.jsonl'), result)
  return result
}

function checkRewards(path: string, result: FamilyResult): void {
  for (const row of rows<RewardRow>(path)) {
    for (const variant of variants) {
      const error = Math.abs(scoreOrZero(row, variant) - row.scores[variant])
      result.max_error = Math.max(result.max_error, error)
      record(result, error <= 1e-12, `${variant} ${row.mut}: off by ${error}`)
    }
  }
}

/** Where the released code raises over a broken truth the vectors say 0. */
function scoreOrZero(row: RewardRow, variant: Variant): number {
  try {
    return scoreToolCalls(row.completion, row.truth, variant).reward
  } catch {
    return 0
  }
}

export function rows<T>(path: string): T[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T)
}

function record(result: FamilyResult, passed: boolean, message: string): void {
  result.cases++
  if (passed) return
  result.failed++
  if (result.messages.length < 10) result.messages.push(`tool_n1: ${message}`)
}
