import { CommanderError } from 'commander'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { errorText, exitCodeOf } from '../../lib/cli/exit.js'
import { bytes, duration, number, percent } from '../../lib/cli/ui/format.js'
import { grpoColumns, StepTable } from '../../lib/cli/ui/step-table.js'
import { displayWidth, printable } from '../../lib/cli/ui/style.js'
import { fold, pairs, table } from '../../lib/cli/ui/table.js'
import { codedError } from '../../lib/errors.js'

test('numbers keep about three digits', () => {
  const cases: [number | null, string][] = [
    [null, '–'],
    [0, '0'],
    [12, '12'],
    [1234.5, '1234.5'],
    [12_345, '12,345'],
    [3.456, '3.46'],
    [0.1234, '0.123'],
    [0.00123, '0.00123'],
    [1.2e-6, '1.2e-6'],
    [-3.2e7, '-3.2e+7'],
    [Number.NaN, 'NaN'],
  ]
  for (const [value, text] of cases) assert.is(number(value), text)
})

test('amounts, times and shares', () => {
  assert.is(bytes(0), '0 B')
  assert.is(bytes(1536), '1.54 kB')
  assert.is(bytes(25.28e9), '25.3 GB')
  assert.is(duration(4.2), '4.20 s')
  assert.is(duration(62), '1 min 02 s')
  assert.is(duration(3 * 3600 + 20 * 60), '3 h 20 min')
  assert.is(percent(0.875), '87.5 %')
  assert.is(percent(Number.NaN), '–')
})

test('a table aligns numbers right and text left, wide characters count twice', () => {
  const text = table(
    ['name', 'n'],
    [
      ['日本', '5'],
      ['a', '123'],
    ],
  )
  assert.equal(
    text.split('\n').map((line) => displayWidth(line)),
    [11, 11, 11, 11],
  )
  assert.match(text, /\n {2}a {5}123$/)
  assert.match(text, /日本 {4}5\n/)
  assert.match(
    pairs([
      ['a', '1'],
      ['long', '2'],
    ]),
    / {2}a {5}1\n {2}long {2}2/,
  )
})

test('what a model wrote cannot move the cursor', () => {
  assert.is(printable('\x1b[2Jx\r\u202ey\tz\n'), '␛[2Jx␍\ufffdy\tz\n')
})

test('folding keeps every character and no line is wider than it may be', () => {
  const text =
    'the quick brown fox jumps over averyveryverylongwordwithoutanyspace and 日本語日本語日本語日本語 goes on'
  const folded = fold(text, 20, '  ')
  for (const line of folded.split('\n')) assert.ok(displayWidth(line) <= 20, line)
  assert.is(folded.replace(/\s/g, ''), text.replace(/\s/g, ''))
})

test('a step table leaves out what the first step does not have, and keeps its columns', () => {
  const steps = new StepTable(grpoColumns)
  const [header, first] = steps.lines(1, 20, { reward: 0.25, loss: -0.001, grad_norm: 0.5 })
  assert.not.match(header!, 'KL')
  assert.match(first!, '1/20')
  const [second, note] = steps.lines(2, 20, { reward: 0.5, kl: 0.1 }, ['Nothing was learned.'])
  assert.is(displayWidth(second!), displayWidth(first!))
  assert.match(note!, 'Nothing was learned.')
})

test('an error is one line and its kind decides the exit code', () => {
  const config = codedError('TypeError', 'ERR_CONFIG', '[config] first\n  second')
  assert.is(errorText(config, false), 'TypeError [config] first second')
  assert.is(exitCodeOf(config), 2)
  assert.is(exitCodeOf(codedError('Error', 'ERR_IO', 'x')), 1)
  assert.is(exitCodeOf(new CommanderError(1, 'commander.unknownOption', 'x')), 2)
  assert.is(exitCodeOf(new CommanderError(0, 'commander.help', 'x')), 0)
  assert.is(exitCodeOf('thrown text'), 1)
  const outer = new Error('outer', { cause: new Error('inner') })
  assert.match(errorText(outer, true), /outer[\s\S]*caused by[\s\S]*inner/)
})

test.run()
