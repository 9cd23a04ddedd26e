import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { devices } from '../../lib/tensor/device.js'
import { prelude, runModuleText } from './children.js'

// What the emulated CUDA runtime can pretend to be: an old GPU, a small one. Each in a process of its own.

const test = suite('an emulated GPU')
const emulated = devices().some(({ description }) => description.startsWith('Emulated'))

async function outputOf(source: string, env: Record<string, string>): Promise<string> {
  const { text, code, signal } = await runModuleText(prelude + source, { env })
  assert.is(signal ?? code, 0, text)
  return text
}

const attempt = (what: string) => `try { ${what}; console.log('fine') } catch (e) { console.log(e.code, e.message) }`

if (emulated) {
  test('a GPU below compute capability 8.0 is listed with the reason, and nothing else suffers', async () => {
    const text = await outputOf(`${attempt("device('cuda:0')")}; console.log(device('auto').name)`, { PTXEMU_SM: '75' })
    assert.match(
      text,
      /ERR_DEVICE .* cuda:0 is not available: .* has compute capability 7\.5; the kernels need 8\.0 or newer/,
    )
    assert.match(text, /^cpu$/m)
  })

  test('a full GPU refuses at once, with the figures, and serves what fits', async () => {
    const source = `
const place = { device: 'cuda:0' }
device('cuda:0').setMemoryLimit(2 ** 40)
${attempt('empty([400 << 18], place)')}
const x = tensor([1, 2], [2], place)
console.log(...await add(x, x).toArray())`
    const text = await outputOf(source, { PTXEMU_MEM_MB: '256' })
    assert.match(
      text,
      /ERR_MEMORY \[tensor\] out of memory: 419430400 bytes wanted, .*; the device has \d+ of 268435456 bytes free;/,
    )
    assert.match(text, /^2 4$/m)
  })

  test('a device that does not exist is named', async () => {
    const text = await outputOf(attempt("device('cuda:1')"), {})
    assert.match(text, /ERR_DEVICE \[device\] expected "auto" or one of .*"cuda:0".*, got "cuda:1"/)
  })
} else {
  test.skip('the CUDA runtime of this build is not the emulated one', () => {})
}

test.run()
