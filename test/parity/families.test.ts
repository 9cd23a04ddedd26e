import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sharedPath } from '../support/shared.js'
import { parityModules, parityOptions, reportLines, runModule } from './runner.js'

const root = sharedPath('parity')

for (const module of await parityModules()) {
  test(module.families.join(', '), async () => {
    if (!root) return
    for (const result of await runModule(module, root, parityOptions(root))) {
      console.log(reportLines(result).at(-1))
      assert.equal(result.messages.slice(0, 5), [])
      assert.is(result.failed, 0)
      assert.ok(result.cases > 0)
    }
  })
}

test('a report shows at most ten failures and ends with its JSON line', () => {
  const messages = Array.from({ length: 40 }, (_, i) => `x: case ${i}\n  and a second line`)
  const lines = reportLines({ family: 'x', cases: 50, failed: 40, max_error: 0.5, messages, seconds: 1.23456 })
  assert.is(lines.length, 11)
  assert.is(lines[9], 'x: and 31 more')
  assert.equal(JSON.parse(lines[10]!), { family: 'x', cases: 50, failed: 40, max_error: 0.5, seconds: 1.235 })
})

test('a module that throws is a failed family', async () => {
  const broken = { families: ['broken'], run: () => Promise.reject(new Error('no such op')) }
  const [result] = await runModule(broken, '/', parityOptions('/'))
  assert.is(result?.failed, 1)
  assert.match(result!.messages[0]!, /^broken: .*no such op/)
})

test.run()
