import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../lib/tensor/addon-file.js'

// The tests of the GPU device itself are a program (test/native/gpu): its runtime is one that they hold back and break.

const built = (name: string) => join(packageRoot, 'build', 'Release', name)

function program(what: string, name: string, tests: number, args: string[] = []): void {
  if (![built(name), ...args].every(existsSync)) {
    test.skip(`${what}: ${built(name)} was not built here`, () => {})
    return
  }
  test(what, () => {
    const { stdout, status, signal } = spawnSync(built(name), args, { encoding: 'utf8', timeout: 120_000 })
    assert.is(signal, null, stdout)
    assert.is(status, 0, stdout)
    assert.is(stdout.split('\n').filter((line) => line.startsWith('ok ')).length, tests, stdout)
  })
}

program('the GPU device keeps its promises over a runtime that is slow, full or broken', 'gpu_device_test', 21)
program('products by cuBLAS, by a library that stands in for it', 'gpu_cublas_test', 5, [
  built('cublas_standin.so'),
  built('cublas_partial.so'),
])

test.run()
