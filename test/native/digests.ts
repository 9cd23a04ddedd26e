import { createHash } from 'node:crypto'
import { runCase } from '../../lib/conformance/harness.js'
import { conformanceRows } from '../../lib/conformance/rows.js'
import { takesBFloat16 } from '../../lib/conformance/suite.js'
import { testDevice } from '../support/device.js'

/** One line per case of every row: a digest of all output bits. */
export async function digestLines(): Promise<string[]> {
  const lines: string[] = []
  for (const row of (await conformanceRows()).values()) {
    for (const c of row.cases) {
      for (const float of takesBFloat16(row) ? (['f32', 'bf16'] as const) : (['f32'] as const)) {
        const hash = createHash('sha256')
        for (const [name, values] of Object.entries(await runCase(row.op, c, { device: testDevice, float }))) {
          hash.update(name).update(new Uint8Array(values.buffer))
        }
        lines.push(`${row.op}, ${c.name}, ${float}: ${hash.digest('hex').slice(0, 16)}`)
      }
    }
  }
  return lines
}
