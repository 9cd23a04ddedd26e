#!/usr/bin/env node
// Writes docs/configuration.md from the compiled schemas; --check only compares.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { configurationMarkdown } from '../dist/lib/train/config/document.js'

const file = new URL('../docs/configuration.md', import.meta.url)
const wanted = configurationMarkdown()
if (!process.argv.includes('--check')) writeFileSync(file, wanted)
else if (!existsSync(file) || readFileSync(file, 'utf8') !== wanted) {
  console.error('docs/configuration.md is not what lib/train/config says. Run: npm run docs')
  process.exitCode = 1
}
