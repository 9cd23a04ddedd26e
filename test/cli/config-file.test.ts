import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applySettings, readConfigFile } from '../../lib/cli/config-file.js'
import { grpoPart, parseSFTRun, parseTrainRun } from '../../lib/train/config.js'

const test = suite<{ folder: string }>('config files')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-config-'))
})
test.after.each((context) => rmSync(context.folder, { recursive: true, force: true }))

function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    assert.is((error as { code?: string }).code, 'ERR_CONFIG')
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}

test('--set values are YAML scalars and lists', () => {
  const got = applySettings({ a: 1, deep: { x: 1 } }, [
    'learningRate=1e-6',
    'deep.y.z=true',
    'name=run 7',
    'epsilonHigh=null',
    'rewardWeights=[1, 0.5]',
    'quoted="5"',
    'text=a=b',
  ])
  assert.equal(got, {
    a: 1,
    deep: { x: 1, y: { z: true } },
    learningRate: 1e-6,
    name: 'run 7',
    epsilonHigh: null,
    rewardWeights: [1, 0.5],
    quoted: '5',
    text: 'a=b',
  })
})

test('--set leaves its input alone, and the last one wins', () => {
  const config = { deep: { x: 1 } }
  assert.equal(applySettings(config, ['deep.x=2', 'deep.x=3']), { deep: { x: 3 } })
  assert.equal(config, { deep: { x: 1 } })
})

test('--set reaches into lists', () => {
  assert.equal(applySettings({ reward: [{ name: 'v0' }] }, ['reward.0.weight=2', 'reward.1.name=v3']), {
    reward: [{ name: 'v0', weight: 2 }, { name: 'v3' }],
  })
  assert.match(
    messageOf(() => applySettings({ reward: [] }, ['reward.4=v0'])),
    'expected an index from 0 to 0, got "4"',
  )
})

test('a data set given by its path can be narrowed', () => {
  assert.equal(applySettings({ dataset: 'a.jsonl' }, ['dataset.limit=9']), { dataset: { path: 'a.jsonl', limit: 9 } })
})

test('--set that is no setting is refused', () => {
  assert.match(
    messageOf(() => applySettings({}, ['beta'])),
    '--set: expected key=value, got "beta"',
  )
  assert.match(
    messageOf(() => applySettings({}, ['=1'])),
    'expected key=value',
  )
  assert.match(
    messageOf(() => applySettings({}, ['a..b=1'])),
    'expected a key like a.b',
  )
  assert.match(
    messageOf(() => applySettings({ beta: 1 }, ['beta.x=1'])),
    '"beta" is a value, not a group of keys',
  )
  assert.match(
    messageOf(() => applySettings({}, ['beta=[1'])),
    '--set beta',
  )
})

test('__proto__ reaches no prototype', () => {
  const run = applySettings({ model: 'm', dataset: 'd' }, [
    '__proto__.polluted=true',
    'constructor.prototype.polluted=true',
  ])
  assert.is(({} as Record<string, unknown>).polluted, undefined)
  assert.match(
    messageOf(() => parseTrainRun(run)),
    'unknown key "__proto__"',
  )
})

test('YAML and JSON files, and where they are wrong', ({ folder }) => {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  assert.equal(readConfigFile(file('a.yaml', 'model: m\nbeta: 1e-3\n')), { model: 'm', beta: 1e-3 })
  assert.equal(readConfigFile(file('a.json', '{"model": "m"}')), { model: 'm' })
  assert.equal(readConfigFile(file('empty.yaml', '# nothing\n')), {})
  assert.match(
    messageOf(() => readConfigFile(file('b.yaml', 'a: 1\nb: [1\n'))),
    /b\.yaml:\d/,
  )
  assert.match(
    messageOf(() => readConfigFile(file('c.yaml', '- 1\n'))),
    'expected "key: value" lines, got a list',
  )
  assert.match(
    messageOf(() => readConfigFile(file('d.yaml', 'a: 1\na: 2\n'))),
    /d\.yaml:2: Map keys must be unique/,
  )
  for (const [open, close] of [
    ['[', ']'],
    ['{a: ', '}'],
  ] as const)
    assert.match(
      messageOf(() => readConfigFile(file('deep.yaml', `a: ${open.repeat(20_000)}1${close.repeat(20_000)}\n`))),
      /deep\.yaml: expected a config, got one that is nested too deeply/,
    )
  assert.match(
    messageOf(() => applySettings({}, [`a=${'['.repeat(100_000)}`])),
    '--set a: expected a config, got one that is nested too deeply',
  )
  const data = file('data.jsonl', '{"messages": []}\n')
  truncateSync(data, 3 * 2 ** 30) // more than can be read at once, and a hole on the disk
  assert.match(
    messageOf(() => readConfigFile(data)),
    'data.jsonl: expected a config of at most 131072 bytes, got more',
  )
  assert.match(
    messageOf(() => applySettings({}, [`a=${'['.repeat(200_000)}`])),
    '--set a: expected a config of at most 131072 bytes, got more',
  )
  assert.match(
    messageOf(() => readConfigFile(join(folder, 'none.yaml'))),
    'cannot read',
  )
  writeFileSync(join(folder, 'p.yaml'), '__proto__: { polluted: true }\nmodel: m\ndataset: d\n')
  assert.match(
    messageOf(() => parseTrainRun(readConfigFile(join(folder, 'p.yaml')))),
    'unknown key "__proto__"',
  )
  assert.is(({} as Record<string, unknown>).polluted, undefined)
})

test('a config extends another, holding only what differs', ({ folder }) => {
  const file = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  file(
    'base.yaml',
    'model: m\nbeta: 0.1\ndataset: a.jsonl\nrewardWeights: [1, 2]\nevalDataset: { path: e, limit: 3 }\n',
  )
  file('deep/middle.yaml', 'extends: ../base.yaml\nbeta: 0.2\ndataset: { limit: 5 }\nrewardWeights: [3]\n')
  const top = file('top.yaml', 'extends: deep/middle.yaml\nseed: 7\ndataset: { part: 1/2 }\nevalDataset: null\n')
  assert.equal(readConfigFile(top), {
    model: 'm',
    beta: 0.2,
    dataset: { path: 'a.jsonl', limit: 5, part: '1/2' },
    rewardWeights: [3],
    evalDataset: null,
    seed: 7,
  })

  assert.match(
    messageOf(() => readConfigFile(file('lost.yaml', 'extends: none.yaml\n'))),
    /cannot read .*none\.yaml/,
  )
  assert.match(
    messageOf(() => readConfigFile(file('list.yaml', 'extends: [base.yaml]\n'))),
    'extends: expected the path of another config',
  )
  for (const place of ['/etc/hostname', 'https://example.org/a.yaml', 'file:a.yaml'])
    assert.match(
      messageOf(() => readConfigFile(file('far.yaml', `extends: ${place}\n`))),
      'expected a path relative to this file',
    )
  file('a.yaml', 'extends: deep/b.yaml\n')
  file('deep/b.yaml', 'extends: ../a.yaml\n')
  assert.match(
    messageOf(() => readConfigFile(join(folder, 'a.yaml'))),
    /expected no circle, got .*a\.yaml > .*b\.yaml > .*a\.yaml/,
  )
  assert.match(
    messageOf(() => readConfigFile(file('self.yaml', 'extends: ./deep/../self.yaml\n'))),
    'expected no circle',
  )
  for (let i = 0; i < 10; i++) file(`long${i}.yaml`, i === 9 ? 'seed: 1\n' : `extends: long${i + 1}.yaml\n`)
  assert.match(
    messageOf(() => readConfigFile(join(folder, 'long0.yaml'))),
    'at most 8 files',
  )
  assert.equal(readConfigFile(join(folder, 'long2.yaml')), { seed: 1 })

  file('proto.yaml', '__proto__: { polluted: true }\ndataset: { __proto__: { polluted: true } }\n')
  readConfigFile(file('over.yaml', 'extends: proto.yaml\ndataset: { path: d, __proto__: { more: 1 } }\n'))
  assert.is(({} as Record<string, unknown>).polluted, undefined)
})

test('runs take short forms', () => {
  const run = parseTrainRun({ model: 'm', dataset: 'a.jsonl' })
  assert.equal(run.dataset, { path: 'a.jsonl', format: 'auto', seed: null, part: null, limit: null })
  assert.equal(run.reward, [{ name: 'v0', weight: 1 }])
  assert.equal(parseTrainRun({ model: 'm', dataset: 'a', reward: ['v0', { name: 'v3', weight: 0.5 }] }).reward, [
    { name: 'v0', weight: 1 },
    { name: 'v3', weight: 0.5 },
  ])
  assert.is(grpoPart(run).numGenerations, 8)
  assert.equal(parseTrainRun(JSON.parse(JSON.stringify(run))), run)
})

test('keys of the other training command name it, and typing errors stay typing errors', () => {
  const sft = { model: 'm', dataset: 'd', promptFormat: 'tool-n1-no-reason', thoughts: 'none', examplesPerStep: 4 }
  assert.is(
    messageOf(() => parseTrainRun(sft, 'a.yaml')),
    '[config] thoughts, examplesPerStep are keys of `callgrad sft`; run `callgrad sft a.yaml`',
  )
  assert.match(
    messageOf(() => parseTrainRun({ ...sft, maxLenght: 9 }, 'a.yaml')),
    'run `callgrad sft a.yaml`; unknown key "maxLenght"; did you mean "maxLength"?',
  )
  const rl = { model: 'm', dataset: 'd', reward: 'v0', numGenerations: 4 }
  assert.match(
    messageOf(() => parseSFTRun(rl, 'b.yaml')),
    'reward, numGenerations are keys of `callgrad train`; run `callgrad train b.yaml`',
  )
  // One key astray does not make it the other command's file, and a typing error is none of its keys.
  assert.match(
    messageOf(() => parseTrainRun({ ...rl, examplesPerStep: 4 }, 'b.yaml')),
    'unknown key "examplesPerStep"; did you mean "promptsPerStep"?',
  )
  assert.match(
    messageOf(() => parseTrainRun({ model: 'm', dataset: 'd', numGeneration: 4 }, 'b.yaml')),
    '[config] unknown key "numGeneration"; did you mean "numGenerations"?',
  )
})

test('runs say what is wrong inside groups', () => {
  const cases: [object, string][] = [
    [{ dataset: 'd' }, 'model: expected a text, got nothing'],
    [{ model: 'm' }, 'dataset: expected a path, or { path, format, seed, part, limit }, got nothing'],
    [{ model: 'm', dataset: { path: 'd', prt: '1/2' } }, 'unknown key "prt" in dataset; did you mean "part"?'],
    [
      { model: 'm', dataset: { path: 'd', part: '3/2' } },
      'dataset.part: expected a text like "1/2" (the first of two parts), or [from, to] with 0 <= from < to <= 1, got "3/2"',
    ],
    [{ model: 'm', dataset: 'd', reward: [{ nam: 'v0' }] }, 'unknown key "nam" in reward[0]; did you mean "name"?'],
    [{ model: 'm', dataset: 'd', device: 'gpu' }, 'device: expected one of "auto", "cpu"'],
    [{ model: 'm', dataset: 'd', evalSteps: 5 }, 'evalDataset: expected a data set because evalSteps is 5'],
    [
      { model: 'm', dataset: 'd', rewardWeights: [1, 2] },
      'rewardWeights: expected one weight for each of 1 rewards, got 2',
    ],
    [{ modelNameOrPath: 'm', dataset: 'd' }, 'unknown key "modelNameOrPath"; did you mean "model"?'],
  ]
  for (const [options, message] of cases)
    assert.match(
      messageOf(() => parseTrainRun(options)),
      message,
    )
  assert.match(
    messageOf(() => parseSFTRun({ model: 'm', dataset: 'd', thoughts: 'deep' })),
    'thoughts: expected one of',
  )
})

test.run()
