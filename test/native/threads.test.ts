import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runModuleText } from './children.js'

const digests = fileURLToPath(new URL('digests.js', import.meta.url))

/** One line per case of every row: a digest of all output bits. */
async function lines(env: Record<string, string>): Promise<string[]> {
  const { code, signal, text } = await runModuleText(`await import(${JSON.stringify(digests)})`, {
    env,
    timeout: 300_000,
  })
  assert.is(signal, null, text.slice(-2000))
  assert.is(code, 0, text.slice(-2000))
  return text.trim().split('\n')
}

test('the number of threads changes no bit', async () => {
  const one = await lines({ CALLGRAD_THREADS: '1' })
  assert.ok(one.length > 50, `only ${one.length} cases`)
  for (const threads of ['2', '3', '7']) {
    const many = await lines({ CALLGRAD_THREADS: threads })
    assert.equal(
      many.filter((line, i) => line !== one[i]),
      [],
      `${threads} threads`,
    )
  }
})

test.run()
