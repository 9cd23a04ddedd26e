import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KvCache } from '../../lib/nn/kv-cache.js'
import { shapeConfig } from '../../lib/nn/shapes.js'
import { device } from '../../lib/tensor/device.js'

test('a page takes the bytes that are counted for it, and a cache gives all of them back', () => {
  const cpu = device('cpu')
  const config = shapeConfig('smollm2-135m')
  for (const dtype of ['f32', 'bf16'] as const) {
    const before = cpu.memory()
    const cache = new KvCache(config, cpu, dtype, 5)
    assert.is(cpu.memory().allocated - before.allocated, 5 * KvCache.pageBytes(config, dtype))
    assert.is(KvCache.pageBytes(config, dtype), 30 * 2 * 3 * 64 * 64 * (dtype === 'f32' ? 4 : 2))
    cache.dispose()
    assert.is(cpu.memory().allocated, before.allocated)
    assert.is(cpu.memory().tensors, before.tensors)
  }
})

test('a cache that does not fit leaves nothing behind', () => {
  const cpu = device('cpu')
  const config = shapeConfig('smollm2-135m')
  const { limit, allocated, tensors } = cpu.memory()
  cpu.setMemoryLimit(allocated + 40 * KvCache.pageBytes(config, 'f32'))
  try {
    assert.throws(() => new KvCache(config, cpu, 'f32', 100), /out of memory/)
  } finally {
    cpu.setMemoryLimit(limit)
  }
  assert.is(cpu.memory().allocated, allocated)
  assert.is(cpu.memory().tensors, tensors)
})

test.run()
