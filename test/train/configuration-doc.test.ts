import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { configurationMarkdown } from '../../lib/train/config/document.js'
import { trainShape } from '../../lib/train/config/run.js'

test('docs/configuration.md is what the schemas say (npm run docs)', () => {
  const written = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')
  assert.ok(
    written === configurationMarkdown(),
    'docs/configuration.md differs from lib/train/config: run npm run docs',
  )
})

test('every key is documented once, with a meaning', () => {
  const rows = configurationMarkdown()
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  for (const key of Object.keys(trainShape)) {
    const mine = rows.filter((row) => row.startsWith(`| \`${key}\` `))
    assert.ok(mine.length >= 1, key)
    assert.ok(
      mine.every((row) => row.split(' | ').at(-1)!.length > 8),
      mine.join(),
    )
  }
})

test.run()
