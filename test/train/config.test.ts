import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBytes } from '../../lib/train/config/fields.js'
import { editDistance, nearestKey } from '../../lib/train/config/nearest.js'
import { parseGRPOConfig, parseSFTConfig } from '../../lib/train/config.js'

function errorOf(options: unknown, parse: (o: unknown) => unknown = parseGRPOConfig): Error & { code?: string } {
  try {
    parse(options)
  } catch (error) {
    return error as Error
  }
  throw new Error(`accepted ${JSON.stringify(options)}`)
}

test('defaults are those of TRL where TRL has the setting', () => {
  const c = parseGRPOConfig({})
  assert.is(c.lossType, 'dapo')
  assert.is(c.beta, 0)
  assert.is(c.numGenerations, 8)
  assert.is(c.learningRate, 1e-6)
  assert.is(c.epsilonHigh, c.epsilon)
  assert.is(c.kvMemory, 1e9)
  assert.is(parseSFTConfig({}).learningRate, 2e-5)
})

test('a parsed config parses to itself', () => {
  for (const options of [{}, { lossType: 'cispo' }, { kvMemory: '2GiB', rewardWeights: [1, 0.5], epsilonHigh: 0.28 }]) {
    const once = parseGRPOConfig(options)
    assert.equal(parseGRPOConfig(JSON.parse(JSON.stringify(once))), once)
  }
})

test('an unknown key names the nearest right one', () => {
  const error = errorOf({ numGeneration: 4 })
  assert.instance(error, TypeError)
  assert.is(error.code, 'ERR_CONFIG')
  assert.is(error.message, '[config] unknown key "numGeneration"; did you mean "numGenerations"?')
  assert.match(errorOf({ num_generations: 4 }).message, 'did you mean "numGenerations"?')
  assert.match(errorOf({ perDeviceTrainBatchSize: 4 }).message, 'did you mean "promptsPerStep"?')
  assert.match(errorOf({ colour: 'red' }).message, 'unknown key "colour"; docs/configuration.md lists the keys')
})

test('keys of the supervised trainer are its own', () => {
  assert.match(errorOf({ numGenerations: 4 }, parseSFTConfig).message, 'unknown key "numGenerations"')
})

test('a wrong value says which key, what was got and what would be right', () => {
  const cases: [object, string][] = [
    [{ learningRate: 'fast' }, 'learningRate: expected a number of at least 0, got "fast"'],
    [{ numGenerations: 1 }, 'numGenerations: expected an integer of at least 2, got 1'],
    [{ numGenerations: 2.5 }, 'numGenerations: expected an integer of at least 2, got 2.5'],
    [{ topP: 0 }, 'topP: expected a number above 0 and of at most 1, got 0'],
    [{ minP: 2 }, 'minP: expected a number from 0 to 1, got 2'],
    [{ lossType: 'ppo' }, 'lossType: expected one of "grpo", "bnpo"'],
    [{ kvMemory: 'lots' }, 'kvMemory: expected bytes, or a text like "2GB" or "512MiB", got "lots"'],
    [{ kvMemory: [] }, 'kvMemory: expected bytes, or a text like "2GB" or "512MiB", got an empty list'],
    [{ gradientCheckpointing: 1 }, 'gradientCheckpointing: expected true or false, got 1'],
    [{ rewardWeights: [1, 'x'] }, 'rewardWeights[1]: expected a number, got "x"'],
    [{ saveTotalLimit: 0 }, 'saveTotalLimit: expected an integer of at least 1, or null, got 0'],
    [{ learningRate: Number.NaN }, 'learningRate: expected a number of at least 0, got NaN'],
  ]
  for (const [options, message] of cases) assert.match(errorOf(options).message, message)
  assert.match(errorOf([]).message, 'expected a group of keys, got an empty list')
})

test('every wrong key is reported at once', () => {
  const { message } = errorOf({ numGeneration: 4, beta: -1, epsilom: 0.1 })
  assert.match(message, '"numGenerations"')
  assert.match(message, '"epsilon"')
  assert.match(message, 'beta: expected a number of at least 0, got -1')
})

test('settings that contradict each other are refused', () => {
  const cases: [object, string][] = [
    [
      { promptsPerStep: 6, updatesPerGeneration: 4 },
      'updatesPerGeneration: expected a divisor of promptsPerStep (6), got 4',
    ],
    [{ delta: 1.1 }, 'delta: expected more than 1 + epsilonHigh (1.2), got 1.1'],
    [{ warmupSteps: 3, warmupRatio: 0.1 }, 'warmupRatio: expected 0 because warmupSteps is 3, got 0.1'],
    [{ maxSteps: 2, warmupSteps: 3 }, 'warmupSteps: expected at most maxSteps (2), got 3'],
    [{ maxSteps: 0 }, 'maxSteps: expected an integer of at least 1, or -1'],
  ]
  for (const [options, message] of cases) assert.match(errorOf(options).message, message)
})

test('cispo has a bound of its own', () => {
  assert.is(parseGRPOConfig({ lossType: 'cispo' }).epsilonHigh, 5)
})

test('a key called __proto__ is an unknown key and touches nothing', () => {
  assert.match(errorOf(JSON.parse('{"__proto__": {"polluted": true}}')).message, 'unknown key "__proto__"')
  assert.is(({} as Record<string, unknown>).polluted, undefined)
})

test('memory in bytes, decimal and binary units', () => {
  assert.is(parseBytes('2GB'), 2e9)
  assert.is(parseBytes(' 1.5 gib '), 1.5 * 2 ** 30)
  assert.is(parseBytes(12.7), 12)
  for (const wrong of ['', 'GB', '-1GB', '2TBs', 'NaN', Number.POSITIVE_INFINITY, 0]) assert.is(parseBytes(wrong), null)
})

test('edit distance counts a swap of neighbours once', () => {
  assert.is(editDistance('', 'abc'), 3)
  assert.is(editDistance('beta', 'btea'), 1)
  assert.is(editDistance('kitten', 'sitting'), 3)
  assert.is(nearestKey('zzz', ['beta']), null)
})

test.run()
