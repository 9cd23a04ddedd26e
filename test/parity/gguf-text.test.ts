import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { sharedPath } from '../support/shared.js'
import { checkGgufText } from './gguf-text.js'

test('a real GGUF model renders, encodes and decodes conversations as other implementations do', async () => {
  const root = sharedPath('parity')
  const models = sharedPath('models')
  if (!root || !models || !sharedPath('parity/gguf')) return
  const { cases, failures } = await checkGgufText(root, models)
  assert.ok(cases >= 6, `only ${cases} cases`)
  assert.equal(failures, [])
})

test.run()
