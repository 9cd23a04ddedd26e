import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../lib/tensor/addon-file.js'

// The tests of the GPU device itself are a program (test/native/gpu): its runtime is one that they hold back and break.

const program = join(packageRoot, 'build', 'Release', 'gpu_device_test')

if (existsSync(program)) {
  test('the GPU device keeps its promises over a runtime that is slow, full or broken', () => {
    const { stdout, status, signal } = spawnSync(program, { encoding: 'utf8', timeout: 120_000 })
    assert.is(signal, null, stdout)
    assert.is(status, 0, stdout)
    assert.ok(stdout.split('\n').filter((line) => line.startsWith('ok ')).length >= 14, stdout)
  })
} else {
  test.skip(`the GPU device: ${program} was not built here`, () => {})
}

test.run()
