#!/usr/bin/env node
// Runs the `cuda` device over the emulated CUDA runtime (scripts/setup-emulated.mjs).
//
//   npm run test:emulated                   device, in-place ops, attention, conformance, GEMM and a model end to end; then the
//                                           smaller of them with the emulator's checks, in random orders, and deferred
//   npm run test:emulated -- --all          everything in every way that shows something, sampling's statistics too
//   npm run test:emulated -- --root DIR     the parity of that folder, as `npm run parity -- --root DIR` prints it
//
// The first takes a minute and a half of one core, and the build, where it is not up to date, a few minutes more.
// The model is compared with the cpu of the checkout's own addon, which set-up must have brought up to date.
// Where nvcc or the emulator is absent a line says so, and the exit code is 0.

import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { defaultEmulator, emulatedAddon, setupEmulated } from './setup-emulated.mjs'
import { SetupError } from './support/exec.mjs'
import { runTests, totalsLine } from './test.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** Test files below dist/test that take the device from CALLGRAD_TEST_DEVICE: seconds, some ten seconds, a minute, minutes. */
const small = ['native/device', 'native/in-place']
const whole = ['native/attention', 'native/attention-isolation', 'e2e/device']
const large = ['native/conformance', 'native/gemm']
const statistics = ['native/sample']

/** Ways to run them, and what `--all` adds; the emulator's documentation explains the variables. */
const ways = [
  {
    name: 'as a device runs',
    files: ['native/emulated', 'native/cublas', 'bindings/exit', ...small, ...whole, ...large],
    more: statistics,
    env: {},
  },
  {
    name: 'races and uninitialised memory',
    files: [...small, 'native/attention'],
    more: ['e2e/device', ...large],
    env: { PTXEMU_CHECK: 'race,init' },
  },
  {
    name: 'random order of warps and blocks',
    files: [...small, ...whole],
    more: large,
    env: { PTXEMU_SCHED: 'random', PTXEMU_BLOCKS: 'random', PTXEMU_SEED: '7' },
  },
  {
    name: 'work runs only at synchronisation',
    files: ['native/cublas', ...small, ...whole],
    more: large,
    env: { PTXEMU_ASYNC: 'deferred' },
  },
]

const emulated = { CALLGRAD_ADDON: emulatedAddon, CALLGRAD_TEST_DEVICE: 'cuda:0' }

async function tests(all) {
  const sum = { passed: 0, failed: 0, skipped: 0, bad: [] }
  for (const { name, files, more, env } of ways) {
    console.log(`\n== emulated CUDA: ${name}`)
    Object.assign(process.env, emulated, env)
    const paths = (all ? [...files, ...more] : files).map((file) => join(root, 'dist', 'test', `${file}.test.js`))
    const write = (chunk) => process.stdout.write(chunk)
    const part = await runTests(join(root, 'dist', 'test'), paths, { timeout: all ? 3600 : 600, write })
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
    options: {
      all: { type: 'boolean', default: false },
      root: string,
      models: string,
      data: string,
      emulator: { ...string, default: defaultEmulator },
    },
    allowPositionals: true,
  })
  if (!(await setupEmulated(resolve(values.emulator)))) return 0
  if (!values.root) return tests(values.all)
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
