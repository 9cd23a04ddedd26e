import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../parity/kernels.js'
import * as trl from '../parity/trl-golden.js'
import { testDevice } from '../support/device.js'
import { repositoryRoot } from '../support/shared.js'

const goldens = join(repositoryRoot, 'test', 'fixtures', 'goldens')

test('ops and their gradients are what PyTorch computes', async () => {
  const [result] = await run(goldens, { device: 'cpu' })
  assert.equal(result?.messages, [])
  assert.is(result?.cases, 15)
})

test('losses, their gradients and metrics are what TRL computes', async () => {
  const [result] = await trl.run(goldens, { device: testDevice })
  assert.equal(result?.messages, [])
  assert.is(result?.cases, 22)
})

test.run()
