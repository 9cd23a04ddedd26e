import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sharedPath } from '../support/shared.js'
import { run } from './trl-golden.js'

const root = sharedPath('parity')

test("losses, gradients and metrics are TRL's", async () => {
  if (!root) return
  const [result] = await run(root)
  assert.equal(result?.messages, [])
  assert.ok(result!.cases >= 124)
})

test.run()
