import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { FamilyResult, ParityModule, ParityOptions } from './result.js'

/** The families' modules: every file of this folder that exports `families` and `run`. */
export async function parityModules(): Promise<ParityModule[]> {
  const files = readdirSync(import.meta.dirname).filter((f) => f.endsWith('.js') && !f.endsWith('.test.js'))
  const modules: ParityModule[] = []
  for (const file of files.sort()) {
    const module: Partial<ParityModule> = await import(`./${file}`)
    if (module.families && module.run) modules.push(module as ParityModule)
  }
  return modules
}

export function parityOptions(root: string, given: Partial<ParityOptions> = {}): ParityOptions {
  const models = resolve(given.models ?? join(root, '..', 'models'))
  const data = resolve(given.data ?? join(root, '..', 'data'))
  return { models, data, device: given.device ?? 'cpu' }
}

export type TimedResult = FamilyResult & { seconds: number }

/** Runs one module. What it throws is a failure of its first family, never of the whole run. */
export async function runModule(module: ParityModule, root: string, options: ParityOptions): Promise<TimedResult[]> {
  const start = performance.now()
  let results: FamilyResult[]
  try {
    results = await module.run(root, options)
  } catch (error) {
    const family = module.families[0] ?? 'unknown'
    const message = `${family}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
    results = [{ family, cases: 1, failed: 1, max_error: Number.POSITIVE_INFINITY, messages: [message] }]
  }
  const seconds = (performance.now() - start) / 1000 / Math.max(1, results.length)
  return results.map((result) => ({ ...result, seconds }))
}

const shownFailures = 10

/** At most ten lines of failures, then the family's JSON line. */
export function reportLines({ messages, seconds, ...result }: TimedResult): string[] {
  const shown = messages.slice(0, messages.length > shownFailures ? shownFailures - 1 : shownFailures)
  const lines = shown.map((message) => message.split('\n').slice(0, 1).join())
  if (messages.length > shown.length) lines.push(`${result.family}: and ${messages.length - shown.length} more`)
  const { family, cases, failed, max_error } = result
  return [...lines, JSON.stringify({ family, cases, failed, max_error, seconds: Math.round(seconds * 1000) / 1000 })]
}
