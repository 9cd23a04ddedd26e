import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { benchBfcl } from '../../lib/cli/bench/bfcl.js'
import { fixtureData } from '../eval/bfcl/support.js'

test('bench bfcl judges answers of which some are right, from text in every language', async () => {
  const { questions, right, ...rates } = await benchBfcl({ data: fixtureData, seconds: 0.01 })
  assert.ok(questions > 20)
  assert.ok(right > 0.4 && right < 0.8, `${right}`)
  for (const [name, rate] of Object.entries(rates)) assert.ok(rate > 0, name)
})

test.run()
