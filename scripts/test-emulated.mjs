#!/usr/bin/env node
// Runs the `cuda` device over the emulated CUDA runtime (scripts/setup-emulated.mjs).
//
//   npm run test:emulated                   tests of the device and the conformance suite, then a smaller set with the
//                                           emulator's checks, in random orders and with deferred execution
//   npm run test:emulated -- --root DIR     the parity of that folder, as `npm run parity -- --root DIR` prints it
//
// Where nvcc or the emulator is absent a line says so, and the exit code is 0.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { defaultEmulator, emulatedAddon, setupEmulated } from './setup-emulated.mjs'
import { SetupError } from './support/exec.mjs'
import { runTests, totalsLine } from './test.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** Test files below dist/test that take the device from CALLGRAD_TEST_DEVICE. */
const everything = [
  'native/device',
  'native/emulated',
  'native/conformance',
  'native/in-place',
  'native/sample',
  'e2e/device',
]
const some = ['native/device', 'native/in-place']

/** Ways to run them: the emulator's documentation explains the variables. */
const ways = [
  { name: 'as a device runs', files: everything, env: {} },
  { name: 'races and uninitialised memory', files: some, env: { PTXEMU_CHECK: 'race,init' } },
  {
    name: 'random order of warps and blocks',
    files: some,
    env: { PTXEMU_SCHED: 'random', PTXEMU_BLOCKS: 'random', PTXEMU_SEED: '7' },
  },
  { name: 'work runs only at synchronisation', files: some, env: { PTXEMU_ASYNC: 'deferred' } },
]

const emulated = { CALLGRAD_ADDON: emulatedAddon, CALLGRAD_TEST_DEVICE: 'cuda:0' }

async function tests() {
  const sum = { passed: 0, failed: 0, skipped: 0, bad: [] }
  for (const { name, files, env } of ways) {
    console.log(`\n== emulated CUDA: ${name}`)
    Object.assign(process.env, emulated, env)
    const paths = files.map((file) => join(root, 'dist', 'test', `${file}.test.js`)).filter((path) => existsSync(path))
    const write = (chunk) => process.stdout.write(chunk)
    const part = await runTests(join(root, 'dist', 'test'), paths, { timeout: 1200, write })
    for (const key of Object.keys(env)) delete process.env[key]
    for (const key of ['passed', 'failed', 'skipped']) sum[key] += part[key]
    sum.bad.push(...part.bad.map((line) => `${name}: ${line}`))
  }
  if (sum.bad.length > 0) console.log(`\nFailed:\n${sum.bad.map((line) => `  ${line}`).join('\n')}`)
  console.log(`\n${totalsLine(sum)}`)
  return sum.failed > 0 || sum.passed === 0 ? 1 : 0
}

/** The parity script with the emulated addon; its lines and its exit code are the result. */
function parity(folder, rest) {
  const args = [join(root, 'scripts', 'parity.mjs'), '--root', folder, '--device', 'cuda:0', ...rest]
  return spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...emulated } }).status ?? 1
}

async function main() {
  const string = { type: 'string' }
  const { values, positionals } = parseArgs({
    options: { root: string, models: string, data: string, emulator: { ...string, default: defaultEmulator } },
    allowPositionals: true,
  })
  if (!(await setupEmulated(resolve(values.emulator)))) return 0
  if (!values.root) return tests()
  const given = ['models', 'data'].flatMap((key) => (values[key] ? [`--${key}`, values[key]] : []))
  return parity(values.root, [...given, ...positionals])
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`\nSet-up stopped: ${error.message}`)
  process.exitCode = 1
}
