// The emulator of CUDA's execution model against small kernels: each wrong one must be reported as what it is, with its
// place, and each right one must give its result without a word.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

interface Outcome {
  name: string
  expected: string | null
  error: string
}

const build = (kind: string) => fileURLToPath(new URL(`../../../build/Release/${kind}_selftest`, import.meta.url))

function outcomes(program: string, seed: number): Outcome[] {
  const text = execFileSync(program, { encoding: 'utf8', env: { ...process.env, CALLGRAD_SIMT_SEED: String(seed) } })
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Outcome)
}

function check(name: string, program: string, seeds: number[], fewest: number) {
  const tests = suite(name)
  if (!existsSync(program)) {
    tests.skip(`${program} was not built`, () => {})
    tests.run()
    return
  }
  for (const seed of seeds) {
    const list = outcomes(program, seed)
    tests(`runs its cases, order ${seed}`, () => assert.ok(list.length >= fewest, `${list.length} cases`))
    for (const { name, expected, error } of list) {
      if (expected === null) {
        tests(`${name}: nothing to report, order ${seed}`, () => assert.is(error, ''))
      } else {
        tests(`${name}: reported, order ${seed}`, () => {
          assert.ok(error.includes(expected), `expected "${expected}", got "${error}"`)
          assert.match(error, /kernel case: block \(0, 0, 0\)|kernel case: block \(\d+, 0, 0\)/)
          assert.match(error, /selftest\/\w+\.cu:\d+/)
        })
      }
    }
  }
  tests.run()
}

check('simt, fast', build('callgrad_simt'), [1], 20)
check('simt, checked', build('callgrad_simt_checked'), [1, 2, 3], 60)
