import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BadRecord } from '../../lib/data/problems.js'
import { Problems, readRecords } from '../../lib/eval/records.js'
import type { JsonObject } from '../../lib/text/json.js'

const test = suite<{ folder: string }>('records of benchmarks')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-records-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const read = (record: JsonObject) => {
  const id = record.get('id')
  if (typeof id !== 'string') throw new BadRecord('field', 'expected "id" to be a text')
  return { id }
}

function write(folder: string, part: string, lines: string[]): string {
  mkdirSync(join(folder, part), { recursive: true })
  writeFileSync(join(folder, part, 'simple.json'), lines.map((line) => `${line}\n`).join(''))
  return join(folder, part, 'simple.json')
}

const bad: [kind: string, line: string][] = [
  ['encoding', String.raw`{"id": "a", "question": [[{"content": "half \ud800"}]]}`],
  ['encoding', String.raw`{"id": "b", "\udfff": 1}`],
  ['number', `{"id": "c", "ground_truth": [{"f": {"a": [${'7'.repeat(6000)}]}}]}`],
  ['number', `{"id": "d", "ground_truth": [{"f": {"a": [-${'7'.repeat(4301)}]}}]}`],
  ['number', '{"id": "e", "ground_truth": [1e999]}'],
]
const good = [
  String.raw`{"id": "f", "question": "a whole pair \ud83d\ude00"}`,
  `{"id": "g", "ground_truth": [-${'7'.repeat(4300)}]}`,
]

test('what no reader could hold is left out and told with its place; the rest stays', async ({ folder }) => {
  const problems = new Problems()
  const path = write(folder, 'question', [...bad.map(([, line]) => line), ...good])
  const records = await readRecords(path, read, problems)
  assert.equal(
    records.map(({ id }) => id),
    ['f', 'g'],
  )
  assert.equal(
    problems.list.map(({ file, line, kind }) => [file, line, kind]),
    bad.map(([kind], i) => ['question/simple.json', i + 1, kind]),
  )
})

test('strict makes each of them fatal, as it is where nothing is left', async ({ folder }) => {
  for (const [, line] of bad) {
    for (const lines of [[...good, line], [line]]) {
      const path = write(folder, 'possible_answer', lines)
      await readRecords(path, read, new Problems(lines.length > 1)).then(
        () => assert.unreachable(line.slice(0, 40)),
        ({ code, message }: Error & { code: string }) => {
          assert.is(code, 'ERR_DATA')
          assert.match(message, /possible_answer\/simple\.json/)
        },
      )
    }
  }
})

test.run()
