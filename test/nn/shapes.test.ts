import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkConfig } from '../../lib/formats/config.js'
import { paramLayout } from '../../lib/nn/param-layout.js'
import { shapeConfig, shapeNames, shapeOfHubId } from '../../lib/nn/shapes.js'

// Parameters as the Hub counts them in each model's safetensors files.
const counts: Record<string, number> = {
  'smollm2-135m': 134_515_008,
  'qwen2.5-0.5b': 494_032_768,
  'qwen2.5-1.5b': 1_543_714_304,
  'qwen2.5-3b': 3_085_938_688,
  'qwen2.5-7b': 7_615_616_512,
  'qwen2.5-14b': 14_770_033_664,
  'llama-3.1-8b': 8_030_261_248,
}

test('every shape is whole and has as many parameters as its model', () => {
  assert.equal([...shapeNames].sort(), Object.keys(counts).sort())
  for (const name of shapeNames) {
    const config = shapeConfig(name)
    checkConfig(config, name)
    const parameters = paramLayout(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
    assert.is(parameters, counts[name], name)
  }
})

test('models of the Hub are known by name', () => {
  assert.is(shapeOfHubId('Qwen/Qwen2.5-7B-Instruct'), 'qwen2.5-7b')
  assert.is(shapeOfHubId('unsloth/Qwen2.5-0.5B'), 'qwen2.5-0.5b')
  assert.is(shapeOfHubId('meta-llama/Llama-3.1-8B-Instruct'), 'llama-3.1-8b')
  assert.is(shapeOfHubId('meta-llama/Meta-Llama-3.1-8B-Instruct'), 'llama-3.1-8b')
  assert.is(shapeOfHubId('Qwen/Qwen2.5-72B-Instruct'), null)
  assert.is(shapeOfHubId('runs/qwen'), null)
  assert.is(shapeOfHubId('x/constructor'), null)
})

test.run()
