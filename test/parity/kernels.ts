import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { device } from '../../lib/tensor/device.js'
import { checkCase, KernelCase, type KernelCheck, type KernelModule } from './kernel-case.js'
import type { FamilyResult, ParityOptions } from './result.js'

/** Every op against fp64 references with gradients; each kernel family computes its cases in `kernels-<family>.ts`. */
export const families = ['kernels']

async function checks(): Promise<Record<string, KernelCheck>> {
  const all: Record<string, KernelCheck> = {}
  const files = readdirSync(import.meta.dirname).filter((file) => /^kernels-[\w-]+\.js$/.test(file))
  for (const file of files.sort()) Object.assign(all, ((await import(`./${file}`)) as KernelModule).ops)
  return all
}

export async function run(root: string, options: Pick<ParityOptions, 'device'>): Promise<FamilyResult[]> {
  const folder = join(root, 'kernels')
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((file) => file.endsWith('.safetensors'))
  const known = await checks()
  const cpu = device(options.device)
  const result: FamilyResult = { family: 'kernels', cases: 0, failed: 0, max_error: 0, messages: [] }
  for (const file of files.sort()) {
    const failures: string[] = []
    try {
      const c = await KernelCase.open(join(folder, file), cpu)
      const check = known[c.op]
      if (check) {
        const verdict = await checkCase(c, check)
        failures.push(...verdict.failures)
        result.max_error = Math.max(result.max_error, verdict.error)
      } else {
        failures.push(`op ${c.op} is not known`)
      }
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
    result.cases++
    if (failures.length === 0) continue
    result.failed++
    result.messages.push(...failures.map((failure) => `kernels: ${file}: ${failure}`))
  }
  return [result]
}
