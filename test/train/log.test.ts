import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { JsonLines } from '../../lib/train/log.js'

const test = suite<{ folder: string }>('log')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-log-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

test('resuming drops what came after the checkpoint, half a line included', ({ folder }) => {
  const path = join(folder, 'deep', 'metrics.jsonl')
  const first = new JsonLines(path, 0)
  first.append({ step: 1, text: 'é' })
  const bytes = first.size()
  first.append({ step: 2 }, { step: 3 })
  first.close()
  appendFileSync(path, '{"step": 4, "te')
  const second = new JsonLines(path, bytes)
  second.append({ step: 2, again: true })
  second.close()
  assert.equal(lines(path), [
    { step: 1, text: 'é' },
    { step: 2, again: true },
  ])
})

test('a run that starts anew starts its file anew', ({ folder }) => {
  const path = join(folder, 'metrics.jsonl')
  new JsonLines(path, 0).append({ old: true })
  new JsonLines(path, 0).append({ old: false })
  assert.equal(lines(path), [{ old: false }])
})

test('what JSON has no number for becomes null', ({ folder }) => {
  const log = new JsonLines(join(folder, 'm.jsonl'), 0)
  log.append({ loss: Number.NaN })
  assert.equal(lines(log.path), [{ loss: null }])
})

test('a file shorter than the checkpoint says, and a folder in its place, are errors', ({ folder }) => {
  assert.throws(() => new JsonLines(join(folder, 'm.jsonl'), 5), /to have 5 bytes as at the checkpoint, got 0/)
  assert.throws(() => new JsonLines(folder, 0), /cannot write/)
})

test.run()
