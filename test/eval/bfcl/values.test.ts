import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { javaValue } from '../../../lib/eval/bfcl/java-values.js'
import { jsValue } from '../../../lib/eval/bfcl/js-values.js'
import { reprFloat } from '../../../lib/text/python/repr.js'
import type { PyValue } from '../../../lib/text/python/value.js'
import { repositoryRoot } from '../../support/shared.js'

interface Row {
  language: 'java' | 'javascript'
  text: string
  type: string
  items: string | null
  value: unknown
}

/** As the fixture writes Python's values. */
function written(value: PyValue): unknown {
  if (typeof value === 'bigint') return { i: String(value) }
  if (typeof value === 'number') return { f: reprFloat(value) }
  if (Array.isArray(value)) return value.map(written)
  return value instanceof Map ? { d: [...value].map(([key, item]) => [key, written(item)]) } : value
}

test("arguments in Java and JavaScript are read as the official converters' patterns read them", () => {
  const path = join(repositoryRoot, 'test', 'fixtures', 'bfcl', 'values.jsonl')
  const rows = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row)
  assert.ok(rows.length > 200)
  for (const { language, text, type, items, value } of rows) {
    const read = language === 'java' ? javaValue : jsValue
    assert.equal(written(read(text, type, items ?? undefined)), value, `${language} ${type} ${items}: ${text}`)
  }
})

test('digits of any script, a last line break and underscores are as in Python', () => {
  assert.is(javaValue('١٢٣', 'integer'), 123n)
  assert.is(javaValue('5\n', 'integer'), 5n)
  assert.is(javaValue('1_000', 'integer'), '1_000')
  assert.equal(javaValue('new ArrayList<>(Arrays.asList(1_000, 2.5))', 'ArrayList'), [1000n, 2.5])
  assert.is(javaValue('5', 'long'), '5')
  assert.is(javaValue('9223372036854775808L', 'long'), 9223372036854775808n)
})

test.run()
