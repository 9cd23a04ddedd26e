import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { OpRow, RowModule } from './row.js'

/** The rows that all families hand in, by op. */
export async function conformanceRows(): Promise<Map<string, OpRow>> {
  const folder = join(import.meta.dirname, 'rows')
  const rows = new Map<string, OpRow>()
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.js'))) {
    for (const row of ((await import(join(folder, file))) as RowModule).rows) rows.set(row.op, row)
  }
  return rows
}
