#!/usr/bin/env node
// Runs every compiled test file in a process of its own, so that a crash or a hang of native code is one file's failure.
//
//   node scripts/test.mjs [--timeout SECONDS] [PATTERN…]     PATTERN: a part of the path below test/
//
// Prints what uvu prints and ends with one line: "N passed, N failed", and ", N skipped" when there were any.

import { spawn } from 'node:child_process'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { filesBelow } from './support/stamp.mjs'

const defaultTimeout = 600

/** What uvu's closing summary says; null when there is none, as after a crash. */
export function readTotals(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  const plain = text.replace(/\x1b\[[0-9;]*m/g, '')
  const last = [...plain.matchAll(/^ {2}Total: +(\d+)\s+Passed: +(\d+)\s+Skipped: +(\d+)/gm)].at(-1)
  if (!last) return null
  const [total, passed, skipped] = last.slice(1).map(Number)
  return { passed, failed: total - passed, skipped }
}

/** Runs one file; `problem` says why its result is not only what uvu counted. */
export function runFile(file, { timeout, write }) {
  return new Promise((resolve) => {
    const env = process.stdout.isTTY ? { FORCE_COLOR: '1', ...process.env } : process.env
    const child = spawn(process.execPath, ['--enable-source-maps', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, timeout * 1000)
    const take = (chunk) => {
      text += chunk
      write(chunk)
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const totals = readTotals(text)
      const problem = late
        ? `no end after ${timeout} s`
        : signal
          ? `ended by ${signal}`
          : !totals
            ? `exit ${code} without a summary`
            : code !== 0 && totals.failed === 0
              ? `exit ${code} after its tests passed`
              : totals.passed + totals.failed + totals.skipped === 0
                ? 'has no tests'
                : null
      const counted = totals ?? { passed: 0, failed: 0, skipped: 0 }
      resolve({ ...counted, failed: counted.failed + (problem ? 1 : 0), problem })
    })
  })
}

/** Runs the files in order. Returns the totals and the files that failed. */
export async function runTests(root, files, { timeout, write }) {
  const sum = { passed: 0, failed: 0, skipped: 0, bad: [] }
  for (const file of files) {
    const name = relative(root, file)
    write(`\n${name}\n`)
    const result = await runFile(file, { timeout, write })
    sum.passed += result.passed
    sum.failed += result.failed
    sum.skipped += result.skipped
    if (result.failed > 0)
      sum.bad.push(result.problem ? `${name}: ${result.problem}` : `${name}: ${result.failed} failed`)
  }
  return sum
}

export function totalsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { timeout: { type: 'string', default: String(defaultTimeout) } },
    allowPositionals: true,
  })
  const root = fileURLToPath(new URL('../dist/test', import.meta.url))
  const files = filesBelow(root)
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => positionals.length === 0 || positionals.some((part) => relative(root, file).includes(part)))
  const write = (chunk) => process.stdout.write(chunk)
  const sum = await runTests(root, files, { timeout: Number(values.timeout), write })
  if (files.length === 0) console.log('No test file matches.')
  if (sum.bad.length > 0) console.log(`\nFailed:\n${sum.bad.map((line) => `  ${line}`).join('\n')}`)
  console.log(`\n${totalsLine(sum)}`)
  process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
