#!/usr/bin/env node
// Random calls of the JS interface and of the addon, right and wrong: every right one has to give its bits, every wrong one a
// coded error, and none may end the process. Seeded: a finding is printed with the command that repeats it.
//
//   npm run fuzz:api -- [--calls N] [--seed S] [--device D] [--sanitize]
//
// --sanitize builds the addon into build/sanitize with AddressSanitizer and UndefinedBehaviorSanitizer first, and runs with it.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { execute, output, SetupError } from './support/exec.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
/** Calls of one process: few enough that the trace of a crash stays readable, enough that its start does not matter. */
const chunk = 50_000

/** The widest instruction set of this CPU for which there are kernels: a sanitizer build of all would take an hour. */
function instructionSet() {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].trim().split(/\s+/))
  if (flags.has('avx512_bf16')) return 'avx512bf16'
  if (['avx512f', 'avx512bw', 'avx512vl', 'avx512dq'].every((flag) => flags.has(flag))) return 'avx512'
  return flags.has('avx2') && flags.has('fma') ? 'avx2' : 'baseline'
}

/** Builds the addon with sanitizers for a device; gives the environment in which Node can load it. */
async function sanitized(device) {
  const folder = join(root, 'build', 'sanitize')
  const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js')
  const place = ['--out', join(folder, 'build'), '--config', 'Release']
  const simt = `--CDCALLGRAD_SIMT=${device === 'simt' ? 'ON' : 'OFF'}`
  const options = ['--CDCALLGRAD_SANITIZE=ON', '--CDCALLGRAD_CUDA=OFF', simt, `--CDCALLGRAD_ISAS=${instructionSet()}`]
  console.log(`building ${instructionSet()} with AddressSanitizer and UndefinedBehaviorSanitizer …`)
  const log = join(root, 'build', 'sanitize.log')
  for (const args of [
    ['configure', ...place, ...options],
    ['build', ...place, '--parallel', '2'],
  ])
    await execute(process.execPath, [cmakeJs, ...args], { cwd: root, log, what: 'the sanitizer build' })
  const asan = output('g++', ['-print-file-name=libasan.so'])
  if (!asan || !existsSync(asan)) throw new SetupError('libasan was not found; it comes with g++')
  return {
    CALLGRAD_PREBUILD: folder, // where node-gyp-build looks for build/Release
    LD_PRELOAD: asan,
    // leaks: Node's own; the link order: Node itself is built without
    ASAN_OPTIONS: 'detect_leaks=0:verify_asan_link_order=0:allocator_may_return_null=1:detect_stack_use_after_return=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  }
}

/** Runs a module of the compiled tests; resolves with how it ended and what it printed. */
function child(args, env) {
  return new Promise((resolve) => {
    const process_ = spawn(process.execPath, ['--enable-source-maps', '--expose-gc', ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    process_.stdout.setEncoding('utf8').on('data', (text) => {
      out += text
    })
    process_.stderr.setEncoding('utf8').on('data', (text) => {
      err = (err + text).slice(-20_000)
    })
    process_.on('close', (code, signal) => resolve({ code, signal, out, err }))
  })
}

const runner = join(root, 'dist', 'test', 'fuzz', 'run.js')
const workers = join(root, 'dist', 'test', 'fuzz', 'workers.js')

function add(sum, tally) {
  for (const key of ['calls', 'valid', 'refused', 'anything']) sum[key] += tally[key]
  for (const [code, n] of Object.entries(tally.codes)) sum.codes[code] = (sum.codes[code] ?? 0) + n
}

async function main() {
  const { values } = parseArgs({
    options: {
      calls: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      device: { type: 'string', default: 'cpu' },
      sanitize: { type: 'boolean', default: false },
    },
  })
  const [calls, seed] = [Number(values.calls), Number(values.seed)]
  if (!(calls >= 1) || !Number.isInteger(seed)) throw new SetupError('usage: npm run fuzz:api -- --calls N --seed S')
  if (!existsSync(runner)) throw new SetupError('the tests are not compiled; run: npm run setup')
  const env = values.sanitize ? await sanitized(values.device) : {}
  const sum = { calls: 0, valid: 0, refused: 0, anything: 0, codes: {} }
  const start = Date.now()
  let findings = 0
  /** Tells at once of a run that ended badly: its `n` calls count, so that the whole comes to an end. */
  const tell = (args, { code, signal, out, err }, n) => {
    if (code === 0) return add(sum, JSON.parse(out.trim().split('\n').at(-1)))
    findings++
    sum.calls += n
    const lines = err.split('\n')
    const report = lines.findIndex((line) => /ERROR: \w+Sanitizer|runtime error:/.test(line))
    const shown = report < 0 ? lines.slice(-40) : lines.slice(report, report + 40)
    console.log(`\nended with ${signal ?? `exit ${code}`}:\n${shown.join('\n')}`)
    console.log(`again: node ${args.join(' ').replaceAll(`${root}/`, '')} --trace`)
  }

  // A tenth of the calls come from worker threads; the rest from processes of their own, one after another.
  const inWorkers = Math.floor(calls / 10)
  for (let i = 0; sum.calls < calls - inWorkers; i++) {
    const n = Math.min(chunk, calls - inWorkers - sum.calls)
    const args = [runner, '--calls', String(n), '--seed', String(seed + 1000 * i), '--device', values.device]
    tell(args, await child(args, env), n)
    process.stderr.write(`${sum.calls} calls, ${findings} findings\n`)
  }
  const args = [workers, '--calls', String(inWorkers), '--seed', String(seed), '--device', values.device]
  tell(args, await child(args, env), inWorkers)

  const { codes, ...counts } = sum
  const seconds = (Date.now() - start) / 1000
  console.log(
    JSON.stringify({
      device: values.device,
      seed,
      sanitize: values.sanitize,
      ...counts,
      codes,
      findings,
      seconds: Math.round(seconds),
    }),
  )
  process.exitCode = findings > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`fuzz:api: ${error.message}`)
    process.exitCode = 2
  }
}
