import { Worker } from 'node:worker_threads'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runModuleText } from './children.js'
import { digestLines } from './digests.js'

const module = new URL('digests.js', import.meta.url).href

async function linesOfProcess(env: Record<string, string>): Promise<string[]> {
  const { code, signal, text } = await runModuleText(
    `const { digestLines } = await import('${module}'); console.log((await digestLines()).join('\\n'))`,
    { env, timeout: 300_000 },
  )
  assert.is(signal, null, text.slice(-2000))
  assert.is(code, 0, text.slice(-2000))
  return text.trim().split('\n')
}

function linesOfWorker(): Promise<string[]> {
  const source = `
    import { parentPort } from 'node:worker_threads'
    const { digestLines } = await import('${module}')
    parentPort.postMessage(await digestLines())`
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    worker.once('message', resolve).once('error', reject)
  })
}

const differences = (a: string[], b: string[]) => a.filter((line, i) => line !== b[i])

test('the number of threads changes no bit', async () => {
  const one = await linesOfProcess({ CALLGRAD_THREADS: '1' })
  assert.ok(one.length > 50, `only ${one.length} cases`)
  for (const threads of ['2', '3']) {
    assert.equal(differences(await linesOfProcess({ CALLGRAD_THREADS: threads }), one), [], `${threads} threads`)
  }
})

test('devices of two workers and of the main thread compute side by side', async () => {
  const [mine, ...theirs] = await Promise.all([digestLines(), linesOfWorker(), linesOfWorker()])
  for (const lines of theirs) assert.equal(differences(lines, mine!), [])
})

test.run()
