import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

interface Totals {
  passed: number
  failed: number
  skipped: number
}
const runner = (await import(new URL('../../../scripts/test.mjs', import.meta.url).href)) as {
  readTotals(text: string): Totals | null
  totalsLine(totals: Totals): string
  runFile(
    file: string,
    options: { timeout: number; write(chunk: string): void },
  ): Promise<Totals & { problem: string | null }>
}

const uvu = JSON.stringify(import.meta.resolve('uvu'))
const head = `import { test } from ${uvu}\n`
const passing = `test('right', () => {})\n`

const test = suite<{ folder: string }>('test runner')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-test-'))
})
test.after.each((context) => rmSync(context.folder, { recursive: true, force: true }))

const run = (folder: string, source: string, timeout = 60) => {
  const file = join(folder, 'x.test.mjs')
  writeFileSync(file, source)
  return runner.runFile(file, { timeout, write: () => {} })
}

test('counts what uvu counted', async ({ folder }) => {
  const wrong = `test('wrong', () => { throw new Error('no') })\ntest.skip('later', () => {})\n`
  const result = await run(folder, `${head}${passing}${wrong}test.run()`)
  assert.equal(result, { passed: 1, failed: 1, skipped: 1, problem: null })
})

test('a crash is a failure of that file', async ({ folder }) => {
  const result = await run(folder, `${head}${passing}process.kill(process.pid, 'SIGSEGV')\nawait new Promise(() => {})`)
  assert.is(result.failed, 1)
  assert.is(result.problem, 'ended by SIGSEGV')
})

test('so are a hang, an early exit, a late one and a file without tests', async ({ folder }) => {
  const hang = await run(folder, `setInterval(() => {}, 1000)`, 1)
  assert.is(hang.problem, 'no end after 1 s')
  assert.is((await run(folder, `process.exit(0)`)).problem, 'exit 0 without a summary')
  const late = `${head}${passing}process.on('exit', () => { process.exitCode = 7 })\ntest.run()`
  assert.equal(await run(folder, late), { passed: 1, failed: 1, skipped: 0, problem: 'exit 7 after its tests passed' })
  assert.is((await run(folder, `${head}test.run()`)).failed, 1)
})

test('the totals line is plain', () => {
  assert.is(runner.totalsLine({ passed: 3, failed: 0, skipped: 0 }), '3 passed, 0 failed')
  assert.is(runner.totalsLine({ passed: 3, failed: 1, skipped: 2 }), '3 passed, 1 failed, 2 skipped')
})

test('the last summary counts, with colours or without', () => {
  const summary = (n: number) => `\n  Total:     ${n}\n\x1b[32m  Passed:    ${n}\x1b[39m\n  Skipped:   0\n`
  assert.equal(runner.readTotals(summary(5) + summary(2)), { passed: 2, failed: 0, skipped: 0 })
  assert.is(runner.readTotals('Segmentation fault'), null)
})

test.run()
