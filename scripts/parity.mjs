#!/usr/bin/env node
// Checks callgrad against vectors that other implementations computed.
//
//   npm run parity -- --root DIR [--models DIR] [--data DIR] [--device D] [FAMILY…]
//
// FAMILY: kernels, e2e (all of its folders), e2e_grpo_0.0_1 (one of them) and so on; default all.
//
// One JSON line per family that DIR holds, {"family", "cases", "failed", "max_error", "seconds"}, after at most ten
// lines that show failures. Exit 1 when anything failed or DIR holds no known family, 2 for wrong arguments.

import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const usage = 'usage: npm run parity -- --root DIR [--models DIR] [--data DIR] [--device D] [FAMILY…]'
const runner = new URL('../dist/test/parity/runner.js', import.meta.url)

function readArguments() {
  try {
    const string = { type: 'string' }
    const { values, positionals } = parseArgs({
      options: { root: string, models: string, data: string, device: string },
      allowPositionals: true,
    })
    if (!values.root) throw new Error('--root is missing')
    if (!existsSync(values.root) || !statSync(values.root).isDirectory())
      throw new Error(`--root: ${values.root} is not a folder`)
    return { ...values, wanted: positionals }
  } catch (error) {
    console.error(`${error.message}\n${usage}`)
    return null
  }
}

/** Whether FAMILY names this one: `e2e` is all of its folders, `e2e_grpo_0.0_1` one of them; `wider`: or a family inside this one. */
function isWanted(wanted, family, wider = false) {
  const within = (inner, outer) => inner === outer || inner.startsWith(`${outer}_`)
  return wanted.length === 0 || wanted.some((name) => within(family, name) || (wider && within(name, family)))
}

async function main() {
  const given = readArguments()
  if (!given) return 2
  if (!existsSync(fileURLToPath(runner))) {
    console.error('The tests are not compiled; run "npm run setup" first.')
    return 2
  }
  const { parityModules, parityOptions, reportLines, runModule } = await import(runner)
  const root = resolve(given.root)
  const options = parityOptions(root, given)
  let known = 0
  let failed = 0
  for (const module of await parityModules()) {
    if (!module.families.some((family) => isWanted(given.wanted, family, true))) continue
    for (const result of await runModule(module, root, options)) {
      if (!isWanted(given.wanted, result.family)) continue
      known++
      failed += result.failed
      for (const line of reportLines(result)) console.log(line)
    }
  }
  if (known === 0) console.error(`${root} holds no known family`)
  return known === 0 || failed > 0 ? 1 : 0
}

process.exitCode = await main()
