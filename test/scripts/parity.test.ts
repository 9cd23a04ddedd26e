import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from '../support/shared.js'

const folder = mkdtempSync(join(tmpdir(), 'callgrad-parity-'))
const goldens = join(repositoryRoot, 'test', 'fixtures', 'goldens')

function parity(...args: string[]) {
  const script = join(repositoryRoot, 'scripts', 'parity.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })
  return { status, lines: stdout.trim().split('\n'), stderr }
}

test('a folder that holds what was expected: one JSON line a family, exit 0', () => {
  const { status, lines, stderr } = parity('--root', goldens)
  assert.is(status, 0, stderr)
  const families = lines.map((line) => JSON.parse(line))
  assert.equal(
    families.map(({ family, cases, failed }) => [family, cases, failed]),
    [
      ['kernels', 15, 0],
      ['trl_golden', 22, 0],
    ],
  )
  for (const { max_error, seconds } of families) assert.ok(max_error > 0 && max_error < 1e-4 && seconds > 0)
})

test('one family of those that are there', () => {
  const { status, lines } = parity('--root', goldens, 'trl_golden')
  assert.is(status, 0)
  assert.equal(
    lines.map((line) => JSON.parse(line).family),
    ['trl_golden'],
  )
})

test('a case that differs and one that cannot be read are failures, shown and counted', () => {
  const root = join(folder, 'broken')
  mkdirSync(join(root, 'kernels'), { recursive: true })
  cpSync(join(goldens, 'kernels', '02_swiglu.safetensors'), join(root, 'kernels', 'good.safetensors'))
  writeFileSync(join(root, 'kernels', 'short.safetensors'), 'no')
  const { status, lines } = parity('--root', root)
  assert.is(status, 1)
  assert.match(lines[0]!, /^kernels: short\.safetensors: \[safetensors\]/)
  const { cases, failed } = JSON.parse(lines.at(-1)!)
  assert.equal([cases, failed], [2, 1])
})

test('a folder without a known family and wrong arguments have exit codes of their own', () => {
  const empty = parity('--root', folder, 'kernels')
  assert.is(empty.status, 1)
  assert.match(empty.stderr, /holds no known family/)
  for (const args of [[], ['--root', join(folder, 'absent')], ['--rot', folder]]) {
    const { status, stderr } = parity(...args)
    assert.is(status, 2)
    assert.match(stderr, /usage: npm run parity/)
  }
})

test.after(() => rmSync(folder, { recursive: true, force: true }))

test.run()
