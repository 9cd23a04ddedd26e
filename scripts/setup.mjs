#!/usr/bin/env node
// Makes a checkout ready to run: packages, the native addon, compiled TypeScript. Every step is skipped while nothing that it
// reads has changed, so that `npm start` and `npm test` can always begin with it.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execute, SetupError } from './support/exec.mjs'
import { npmCommand, packagesAreCurrent } from './support/packages.mjs'
import { Steps, seconds } from './support/report.mjs'
import { filesBelow, fingerprint, nativeSources, stampIs, writeStamp } from './support/stamp.mjs'
import { ensureToolchain } from './support/toolchain.mjs'

const oldestNode = 20

/** Throws a SetupError when this Node is too old. */
export function checkNode(version = process.versions.node) {
  if (Number.parseInt(version, 10) < oldestNode)
    throw new SetupError(`Node.js ${oldestNode} or newer is needed, this is ${version}`)
}

/** Each step returns whether it had something to do. */
async function packages({ root, steps, log }) {
  if (packagesAreCurrent(root)) return false
  const start = Date.now()
  steps.progress('packages', 'installing with npm ci …')
  const npm = npmCommand()
  // --ignore-scripts: npm would run this package's own `prepare`, which is this script
  await execute(npm.command, [...npm.args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: root,
    log,
    what: 'npm ci',
  })
  steps.done('packages', `installed in ${seconds(Date.now() - start)}`)
  return true
}

const addonOf = (root) => filesBelow(join(root, 'build', 'Release')).find((file) => file.endsWith('.node'))

async function native({ root, steps, log }) {
  if (!existsSync(join(root, 'CMakeLists.txt'))) return false
  const stampFile = join(root, 'build', '.stamp')
  const stamp = fingerprint(root, nativeSources, [process.platform, process.arch, String(wantsCuda())])
  if (stampIs(stampFile, stamp) && addonOf(root)) return false

  const tools = await ensureToolchain({
    log,
    onInstall: (missing) => steps.progress('toolchain', `installing ${missing.join(', ')} …`),
  })
  steps.done('toolchain', [tools.compilerVersion, tools.cmake].join('; '))
  dropForeignCache(root)
  const start = Date.now()
  // Each compiler process takes up to about 1 GiB on the largest kernel files.
  const parallel = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 30)))
  const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js')
  const cuda = wantsCuda()
  const args = [
    cmakeJs,
    'build',
    '--out',
    'build',
    '--config',
    'Release',
    '--parallel',
    String(parallel),
    `--CDCALLGRAD_CUDA=${cuda ? 'ON' : 'OFF'}`,
  ]
  steps.progress('native', 'configuring …')
  await execute(process.execPath, args, {
    cwd: root,
    log,
    env: { ...process.env, CXX: tools.compiler },
    what: 'the build of the native addon',
    onLine: (line) => {
      const step = buildProgress(line)
      if (step) steps.progress('native', `${String(step.percent).padStart(3)} %  ${step.file}`, step.percent)
    },
  })
  const addon = addonOf(root)
  if (!addon) throw new SetupError('the build of the native addon ended without a .node file in build/Release')
  writeStamp(stampFile, stamp)
  steps.done('native', `${relative(root, addon)} built in ${seconds(Date.now() - start)}`)
  return true
}

/**
 * Whether to compile for GPUs, which takes minutes: where there is one (its device node), or where CALLGRAD_CUDA=1 asks for it.
 * CALLGRAD_CUDA=0 leaves it out. CMake then still looks for nvcc.
 */
export function wantsCuda(env = process.env, gpu = existsSync('/dev/nvidiactl') || existsSync('/dev/dxg')) {
  return env.CALLGRAD_CUDA === undefined ? gpu : env.CALLGRAD_CUDA !== '0'
}

/** `[ 12%] Building CXX object …/gemm.cc.o` (make) or `[3/25] Building …` (ninja) → { percent, file }. */
export function buildProgress(line) {
  const match = /^\[\s*(\d+)(?:%|\/(\d+))\]\s+Building \w+ object (\S+)/.exec(line)
  if (!match) return null
  const percent = match[2] ? Math.floor((100 * Number(match[1])) / Number(match[2])) : Number(match[1])
  return { percent, file: match[3].replace(/^CMakeFiles\/[^/]+\.dir\//, '').replace(/\.o$/, '') }
}

/** A build folder that was copied from elsewhere names its old place in CMake's cache, and CMake refuses it. */
function dropForeignCache(root) {
  const build = join(root, 'build')
  const cache = join(build, 'CMakeCache.txt')
  if (!existsSync(cache)) return
  const home = /^CMAKE_HOME_DIRECTORY:\w+=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1]
  if (home !== root) for (const name of readdirSync(build)) rmSync(join(build, name), { recursive: true, force: true })
}

/** The compiled TypeScript, where something changed. */
export async function types({ root, steps, log }) {
  const stampFile = join(root, 'dist', '.stamp')
  const stamp = fingerprint(root, ['lib', 'test', 'tsconfig.json', 'package-lock.json'])
  if (stampIs(stampFile, stamp)) return false
  const start = Date.now()
  steps.progress('types', 'compiling TypeScript …')
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await execute(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], { cwd: root, log, what: 'tsc' })
  dropOrphans(root)
  writeStamp(stampFile, stamp)
  steps.done('types', `compiled in ${seconds(Date.now() - start)}`)
  return true
}

/** Removes compiled files whose source is gone: a deleted test must not go on running. */
export function dropOrphans(root) {
  const dist = join(root, 'dist')
  for (const file of [...filesBelow(join(dist, 'lib')), ...filesBelow(join(dist, 'test'))]) {
    const source = relative(dist, file).replace(/\.(?:d\.ts|js)(?:\.map)?$/, '.ts')
    if (source.endsWith('.ts') && !existsSync(join(root, source))) rmSync(file)
  }
}

/** The whole set-up of the checkout at `root`; `addon: false` leaves the build of its addon out. */
export async function setup(root, { addon = true } = {}) {
  const start = Date.now()
  const steps = new Steps()
  const context = { root, steps, log: join(root, 'build', 'setup.log') }
  checkNode()
  let worked = false
  for (const step of addon ? [packages, native, types] : [packages, types]) worked = (await step(context)) || worked
  console.log(worked ? `Set-up done in ${seconds(Date.now() - start)}.` : `Set-up is up to date.`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
  try {
    await setup(root)
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`\nSet-up stopped: ${error.message}`)
    process.exitCode = 1
  }
}
