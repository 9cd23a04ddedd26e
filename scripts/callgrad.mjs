#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

// V8 lets garbage grow to several times of what lives before it looks for it, and leaves holes: 50 to 100 MB of a run's memory,
// rising and falling. Here it looks once there is a tenth, and closes the holes (docs/performance.md).
setFlagsFromString('--heap-growing-percent=10')
setFlagsFromString('--compact-on-every-full-gc')

const main = new URL('../dist/lib/cli/main.js', import.meta.url)
if (existsSync(main)) {
  const { run } = await import(main.href)
  await run(process.argv)
} else {
  console.error('callgrad is not built in this checkout. Run: npm run setup')
  process.exitCode = 1
}
