import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { devices } from '../../lib/tensor/device.js'
import { testDevice } from '../support/device.js'
import type { Results } from './device-run.js'

// A model on a GPU device against the same model on the cpu: what is drawn, its log-probs, and a few updates. Each runs in a
// process of its own, since the addon over an emulated CUDA runtime has no kernels for the cpu.

const wanted = testDevice === 'cpu' ? 'simt' : testDevice
const test = suite(`a model on ${wanted}`)

function resultsOn(name: string, env: NodeJS.ProcessEnv): Results {
  const program = fileURLToPath(new URL('./device-run.js', import.meta.url))
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, name], {
    encoding: 'utf8',
    env,
    timeout: 600_000,
  })
  assert.is(status, 0, stderr)
  return JSON.parse(stdout.split('\n').at(-2)!) as Results
}

/** Largest difference, relative to the largest value. */
function apart(a: readonly number[], b: readonly number[]): number {
  assert.is(a.length, b.length)
  const scale = Math.max(...b.map(Math.abs), 1e-30)
  return Math.max(0, ...a.map((x, i) => Math.abs(x - b[i]!))) / scale
}

const found = devices().find(({ name }) => name === wanted)
if (found?.available) {
  let here: Results
  let cpu: Results
  test.before(() => {
    here = resultsOn(wanted, process.env)
    const { CALLGRAD_ADDON: _, ...plain } = process.env
    cpu = resultsOn('cpu', plain)
  })

  test('draws the tokens that the cpu draws, while sequences join and leave', () => {
    assert.equal(here.tokens, cpu.tokens)
    assert.ok(new Set(here.tokens.map((t) => t.length)).size > 2, 'all answers are of one length')
    assert.ok(apart(here.logprobs.flat(), cpu.logprobs.flat()) < 1e-5)
  })

  test('the sampler’s log-probs are those of the trainer', () => {
    for (const dtype of ['f32', 'bf16'] as const)
      assert.ok(here.sampled[dtype] < 3e-2, `${dtype}: ${here.sampled[dtype]}`)
    assert.ok(here.sampled.f32 < 1e-5, `f32: ${here.sampled.f32}`)
  })

  test('updates have the losses, gradient norms and weights of the cpu’s', () => {
    assert.is(here.losses.length, 5)
    assert.ok(apart(here.losses, cpu.losses) < 1e-3, `${here.losses} against ${cpu.losses}`)
    assert.ok(apart(here.norms, cpu.norms) < 1e-3, `${here.norms} against ${cpu.norms}`)
    assert.ok(here.moved > 1e-3, 'the weights stayed where they were')
    assert.ok(apart(here.weights, cpu.weights) < 1e-3)
  })

  test('training twice gives the same bits', () => {
    assert.equal(here.again, here.weights)
  })

  test('a checkpoint comes back', () => {
    assert.equal(here.reloaded, here.logprobs.flat())
  })
} else {
  test.skip(`${wanted}: ${found?.reason ?? 'no such device'}`, () => {})
}

test.run()
