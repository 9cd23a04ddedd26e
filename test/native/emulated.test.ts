import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gpuClocks } from '../../lib/cli/bench/gpu-clocks.js'
import { Sampler } from '../../lib/cli/bench/op-timing.js'
import { opNamed } from '../../lib/conformance/harness.js'
import { device, devices } from '../../lib/tensor/device.js'
import { tensor } from '../../lib/tensor/tensor.js'
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

  test('nvidia-smi is asked for the device by its bus, while the device works', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'callgrad-smi-'))
    const script = '#!/bin/sh\nsleep 0.2\necho "$1, 580.65.06, 1755, [N/A], 2619, 312.40, 700.00"\n'
    writeFileSync(join(folder, 'nvidia-smi'), script, { mode: 0o755 })
    const before = process.env.PATH
    process.env.PATH = `${folder}:${before}`
    const gpu = device('cuda:0')
    const x = tensor([1, 2, 3, 4], [4], { device: gpu })
    const sampler = await Sampler.of({ op: opNamed('copy'), inputs: { x, into: x }, attrs: {} }, gpu)
    try {
      const { pciBusId } = devices().find(({ name }) => name === 'cuda:0')!
      assert.match(pciBusId!, /^[0-9a-f]{8}:[0-9a-f]{2}:[0-9a-f]{2}\.0$/)
      assert.equal(await gpuClocks(gpu, sampler), {
        name: `--id=${pciBusId}`,
        driver: '580.65.06',
        sm: 1755,
        smMax: null,
        memory: 2619,
        watts: 312.4,
        wattsLimit: 700,
      })
    } finally {
      process.env.PATH = before
      sampler.dispose()
      x.dispose()
      rmSync(folder, { recursive: true })
    }
  })
} else {
  test.skip('the CUDA runtime of this build is not the emulated one', () => {})
}

test.run()
