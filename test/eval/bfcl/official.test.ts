import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../../parity/bfcl.js'
import { repositoryRoot } from '../../support/shared.js'

const fixtures = join(repositoryRoot, 'test', 'fixtures', 'bfcl')

test('verdicts, sub-errors, decoders, prompts and table cells are the official ones', async () => {
  const options = { models: '', data: join(fixtures, 'data'), device: 'cpu' }
  const [result] = await run(join(fixtures, 'parity'), options)
  assert.equal(result?.messages.slice(0, 5), [])
  assert.is(result?.failed, 0)
  assert.ok(result!.cases > 1500, `${result!.cases} cases`)
})

test.run()
