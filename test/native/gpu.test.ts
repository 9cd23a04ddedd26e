import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../lib/tensor/addon-file.js'

// The tests of the GPU device itself are a program (test/native/gpu): its runtime is one that they hold back and break.

const built = (name: string) => join(packageRoot, 'build', 'Release', name)

function program(what: string, name: string, args: string[] = []): void {
  if (![built(name), ...args].every(existsSync)) {
    test.skip(`${what}: ${built(name)} was not built here`, () => {})
    return
  }
  test(what, () => {
    const { stdout, status, signal } = spawnSync(built(name), args, { encoding: 'utf8', timeout: 120_000 })
    assert.is(signal, null, stdout)
    assert.is(status, 0, stdout)
    const lines = stdout.split('\n')
    assert.match(lines[0] ?? '', /^1\.\.[1-9]\d*$/) // TAP's plan: how many there are
    assert.is(lines.filter((line) => line.startsWith('ok ')).length, Number(lines[0]?.slice(3)), stdout)
  })
}

program('the GPU device keeps its promises over a runtime that is slow, full or broken', 'gpu_device_test')
program('products by cuBLAS, by a library that stands in for it', 'gpu_cublas_test', [
  built('cublas_standin.so'),
  built('cublas_partial.so'),
])

test.run()
