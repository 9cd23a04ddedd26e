import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parsePart } from '../../lib/cli/data/options.js'
import { describeExamples } from '../../lib/cli/examples.js'
import { readDataset } from '../../lib/data/load.js'
import { inTemporaryFolder } from '../formats/support.js'
import { runCallgrad } from './support/callgrad.js'

const run = (folder: string, ...args: string[]) => runCallgrad(['data', ...args], folder)
const record = (id: number, name: string) =>
  JSON.stringify({
    id,
    query: `q${id}`,
    tools: '[{"name": "f"}, {"name": "g"}]',
    answers: [{ name, arguments: { id } }],
  })
const data = `${record(1, 'f')}\n{"id": 2\n${record(3, 'h')}\n${record(4, 'g')}\n`

test('build writes the data set and says what was left out; stats and inspect read it', async () => {
  await inTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'in.jsonl'), data)
    const options = ['-o', 'out/train.jsonl', '--split', '0.5', '--irrelevance', '1']
    const built = await run(folder, 'build', 'in.jsonl', ...options)
    assert.is(built.code, 0, built.err)
    assert.match(built.out, /xlam single +4 +4 +60,000 +60,000/)
    assert.match(built.out, /json +1 +not JSON +in\.jsonl:2: /)
    assert.match(built.out, /unknown_tool +1 +a call of a tool that is not in the list +in\.jsonl:3: .*"h"/)
    assert.match(built.out, 'out/train.jsonl: 2 samples of 1 records')
    assert.match(built.out, 'out/train.test.jsonl: 2 samples of 1 records')
    const stats = await run(folder, 'stats', 'out/train.jsonl', 'out/train.test.jsonl', '--json')
    const { samples, without_call, table1 } = JSON.parse(stats.out) as Record<string, unknown>
    assert.equal([samples, without_call], [4, 2])
    assert.is((table1 as { processed: number }[])[0]?.processed, 4)
    assert.match((await run(folder, 'stats', 'out/train.jsonl')).out, /Table 1 +raw +processed +paper's raw/)
    const dropped = await run(folder, 'inspect', 'in.jsonl', '--dropped', 'unknown_tool')
    assert.match(dropped.out, 'in.jsonl:3  unknown_tool: expected a tool of the list, got "h"')
    assert.match(dropped.out, '"query": "q3"')
    const shown = await run(folder, 'inspect', 'in.jsonl', '--id', '4', '--json')
    assert.is((JSON.parse(shown.out) as { examples: { id: string }[] }).examples[0]?.id, '4')
  })
})

test('--dropped lists every record, --json prints the counts', async () => {
  await inTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'in.jsonl'), data)
    const built = await run(folder, 'build', 'in.jsonl', '-o', 'o.jsonl', '--dropped', 'd.jsonl', '--json')
    const { dropped, files } = JSON.parse(built.out) as { dropped: object; files: { samples: number }[] }
    assert.equal(dropped, { json: 1, unknown_tool: 1 })
    assert.is(files[0]?.samples, 2)
    const lines = readFileSync(join(folder, 'd.jsonl'), 'utf8').trim().split('\n')
    assert.equal(
      lines.map((line) => (JSON.parse(line) as { line: number }).line),
      [2, 3],
    )
  })
})

test('exit codes: 1 over bad data, 2 over wrong arguments', async () => {
  await inTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'in.jsonl'), data)
    const cases: [number, RegExp, string[]][] = [
      [1, /in\.jsonl:2: .*expected/, ['build', 'in.jsonl', '-o', 'o.jsonl', '--strict']],
      [1, /expected a readable file at gone\.jsonl/, ['stats', 'gone.jsonl']],
      [2, /expected a share between 0 and 1/, ['build', 'in.jsonl', '-o', 'o.jsonl', '--split', '2']],
      [2, /expected a fraction such as 0\.5/, ['build', 'in.jsonl', '-o', 'o.jsonl', '--part', '1-0']],
      [2, /Allowed choices are auto, xlam/, ['stats', 'in.jsonl', '--format', 'csv']],
      [2, /--max-prompt-tokens: expected --model/, ['build', 'in.jsonl', '-o', 'o.jsonl', '--max-prompt-tokens', '9']],
      [2, /--dropped: expected one of file, /, ['inspect', 'in.jsonl', '--dropped', 'bad']],
      [2, /required option '-o/, ['build', 'in.jsonl']],
      [2, /--dropped\): .*o\.jsonl, which is output/, ['build', 'in.jsonl', '-o', 'o.jsonl', '--dropped', './o.jsonl']],
      [2, /--dropped: .*which is an input/, ['stats', 'in.jsonl', '--dropped', 'in.jsonl']],
    ]
    for (const [code, message, args] of cases) {
      const ended = await run(folder, ...args)
      assert.is(ended.code, code, args.join(' '))
      assert.match(ended.err, message)
      assert.is(ended.err.trim().split('\n').length, 1)
    }
  })
})

test('the group of commands alone shows its help and nothing else, as a usage error', async () => {
  await inTemporaryFolder(async (folder) => {
    const { code, out, err } = await run(folder)
    assert.equal([code, out], [2, ''])
    assert.match(err, /^Usage: callgrad data/)
    assert.not.match(err, 'outputHelp')
    assert.is((await runCallgrad(['help', 'data'], folder)).code, 0)
  })
})

test('of several inputs, the one with the first problem is named; records are counted once', async () => {
  await inTemporaryFolder(async (folder) => {
    writeFileSync(join(folder, 'a.jsonl'), `${record(1, 'f')}\n`)
    writeFileSync(join(folder, 'b.jsonl'), data)
    const inspected = await run(folder, 'inspect', 'a.jsonl', 'b.jsonl', '-n', '9')
    assert.match(inspected.out, '2 of 5 records left out, the first at b.jsonl:2: ')
    const stats = await run(folder, 'stats', 'a.jsonl', 'b.jsonl')
    assert.match(stats.out, '2 of 5 records left out')
  })
})

test('what a training says of its data: records once, turns apart, ids that were changed not at all', () => {
  const system = 'Here is a list of functions in JSON format that you can invoke:\n[{"name": "f"}]'
  const turns = (...values: string[]) => ({
    system,
    conversations: values.flatMap((value) => [
      { from: 'human', value: 'q' },
      { from: 'gpt', value },
    ]),
  })
  const records = [
    JSON.parse(record(1, 'f')),
    JSON.parse(record(1, 'f')),
    turns('[g()]', '[g(]'),
    turns('[g()]', '[f()]'),
  ]
  const text = records.map((one) => JSON.stringify(one)).join('\n')
  const line = describeExamples(readDataset('d.jsonl', new TextEncoder().encode(text)))
  assert.match(line, '3 examples; 1 of 4 records and 1 sample of others left out, the first at d.jsonl:3: turn 2: ')
})

test('parts are written as fractions, ranges and i/n', () => {
  assert.equal(parsePart('0.5'), [0, 0.5])
  assert.equal(parsePart('0.5-1'), [0.5, 1])
  assert.equal(parsePart('2/4'), [0.25, 0.5])
  for (const text of ['', '0', '1.5', '0.5-', '-0.5', '3/2', 'x', '0.5-0.5'])
    assert.throws(() => parsePart(text), /fraction/)
})

test.run()
