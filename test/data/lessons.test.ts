import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { linesWithReplies } from '../../lib/data/lessons.js'
import { loadDataset } from '../../lib/data/load.js'

const test = suite<{ folder: string }>('lessons')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-lessons-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

test('lines with replies give the same examples, numbers and prompts, in the order asked for', async ({ folder }) => {
  const source = join(folder, 'data.jsonl')
  const tools = '[{"name": "f", "parameters": {"a": {"type": "float", "default": 1.0, "max": 36028797018963969}}}]'
  const records = ['one', 'two', 'two', 'three'].map(
    (id) =>
      `{"id": "${id}", "query": "q ${id}?", "tools": ${JSON.stringify(tools)}, "answers": [{"name": "f", "arguments": {"a": 1.0}}]}`,
  )
  writeFileSync(source, [...records, 'broken'].join('\n'))
  const before = (await loadDataset(source, { seed: 3 })).examples
  assert.equal(before.map(({ id }) => id).sort(), ['one', 'three', 'two', 'two~2'])
  const kept = before.filter(({ id }) => id !== 'two')
  const lines = await linesWithReplies(source, new Map(kept.map(({ id }) => [id, `reply to ${id}`])))
  const built = join(folder, 'built.jsonl')
  writeFileSync(built, lines.map((line) => `${line}\n`).join(''))
  for (const prompt of ['tool-n1', 'native'] as const) {
    const wanted = (await loadDataset(source, { seed: 3, prompt })).examples.filter(({ id }) => id !== 'two')
    const { examples, report } = await loadDataset(built, { prompt })
    assert.equal(report.problems, [])
    assert.equal(
      examples,
      wanted.map((example) => ({ ...example, reply: `reply to ${example.id}` })),
    )
  }
})

test.run()
