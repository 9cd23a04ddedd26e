import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../parity/kernels.js'
import { repositoryRoot } from '../support/shared.js'

test('ops and their gradients are what PyTorch computes', async () => {
  const [result] = await run(join(repositoryRoot, 'test', 'fixtures', 'goldens'), { device: 'cpu' })
  assert.equal(result?.messages, [])
  assert.is(result?.cases, 15)
})

test.run()
