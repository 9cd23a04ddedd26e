#!/usr/bin/env node
import { existsSync } from 'node:fs'

const main = new URL('../dist/lib/cli/main.js', import.meta.url)
if (existsSync(main)) {
  const { run } = await import(main.href)
  await run(process.argv)
} else {
  console.error('callgrad is not built in this checkout. Run: npm run setup')
  process.exitCode = 1
}
