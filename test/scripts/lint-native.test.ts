import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from '../support/shared.js'

const script = join(repositoryRoot, 'scripts', 'lint-native.mjs')
const { breaches } = (await import(script)) as {
  breaches(path: string, text: string): { line: number; message: string }[]
}

const lines = (text: string, path = 'native/cuda/x.cu') => breaches(path, text).map((b) => b.line)

test('what only nvcc understands is refused outside its files', () => {
  assert.equal(lines('int a;\nkernel<<<1, 2>>>(a);'), [2])
  assert.equal(lines('asm volatile("bar.sync 0;");'), [1])
  assert.equal(lines('extern __shared__ float tile[];'), [1])
  assert.equal(lines('__shared__ float part[32];'), [1])
  assert.equal(lines('__global__ void __launch_bounds__(256) f() {}'), [1])
  assert.equal(lines('#include <cuda_bf16.h>'), [1])
  assert.equal(lines('#include <cooperative_groups.h>'), [1])
})

test('the wrappers themselves, comments and text pass', () => {
  assert.equal(lines('asm("mov");', 'native/cuda/ptx.cuh'), [])
  assert.equal(lines('#define CG_SHARED(T, name) __shared__ T name', 'native/cuda/launch.h'), [])
  assert.equal(lines('// kernel<<<1, 2>>>\n/* asm\n __shared__ */ const char* s = "asm <<<";'), [])
  assert.equal(lines('#include "cuda/launch.h"\nint x = 1 << 2;'), [])
})

test('this checkout has no breach', () => {
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  assert.is(stderr, '')
  assert.is(status, 0)
})

test.run()
