import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { OpRow } from '../../lib/conformance/row.js'
import { conformanceRows } from '../../lib/conformance/rows.js'
import * as checks from '../../lib/conformance/suite.js'
import { testDevice } from '../support/device.js'

// Runs cases of the conformance suite against one mutant after the other, for scripts/mutants.mjs. One JSON object a line:
//   out  { probes }                        once: every case there is
//   in   { id, probe }                     id -1: no mutant
//   out  { seconds, reached, failed }      for each; `reached` only for id -1

/** A case of a row and what is done with it. */
export interface Probe {
  op: string
  case: number
  check: 'f32' | 'bf16' | 'strided' | 'unseen'
}

const switches = openSync(process.env.CALLGRAD_MUTANTS!, 'r+')
const size = 4096

function select(id: number): void {
  const bytes = Buffer.alloc(size)
  bytes.writeInt32LE(id)
  writeSync(switches, bytes, 0, size, 0)
}

function reached(): number[] {
  const bytes = Buffer.alloc(size)
  readSync(switches, bytes, 0, size, 0)
  return [...bytes.subarray(4).keys()].filter((i) => bytes[4 + i] !== 0)
}

async function run(row: OpRow, { case: index, check }: Probe): Promise<void> {
  const one = { ...row, cases: [row.cases[index]!] }
  if (check === 'f32') await checks.matchesReference(one, testDevice)
  else if (check === 'bf16') await checks.bfloat16IsAsGoodAsPlain(one, testDevice)
  else if (check === 'strided') await checks.stridedEqualsDense(one, testDevice)
  else await checks.unseenReachesNothing(one, testDevice)
}

/** Every probe that the suite would run. */
export function probesOf(rows: Map<string, OpRow>): Probe[] {
  return [...rows.values()].flatMap((row) =>
    row.cases.flatMap((_, index): Probe[] => {
      const probe = (check: Probe['check']): Probe => ({ op: row.op, case: index, check })
      return [
        probe('f32'),
        ...(checks.takesBFloat16(row) ? [probe('bf16')] : []),
        ...(row.skip?.includes('strided') ? [] : [probe('strided')]),
        ...(row.unseen ? [probe('unseen')] : []),
      ]
    }),
  )
}

const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)
const rows = await conformanceRows()
say({ probes: probesOf(rows) })

for await (const line of createInterface({ input: process.stdin })) {
  const { id, probe } = JSON.parse(line) as { id: number; probe: Probe }
  select(id)
  const start = performance.now()
  let failed: string | null = null
  try {
    await run(rows.get(probe.op)!, probe)
  } catch (error) {
    failed = String((error as Error).message)
      .split('\n', 3)
      .join(' ')
      .slice(0, 300)
  }
  const places = id < 0 ? { reached: reached() } : {}
  select(-1)
  say({ seconds: (performance.now() - start) / 1000, failed, ...places })
}
closeSync(switches)
