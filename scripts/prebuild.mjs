#!/usr/bin/env node
// Makes the package that installs without a compiler: the addon for every x86-64 CPU by prebuildify, what lies beside it, and
// `npm pack`. Prints what is in the tarball and what the files in it need; fails when a machine of the glibc floor could not load them.
//
//   npm run prebuild [-- --out FOLDER] [--no-cuda]
//
// --out: where the tarball goes, default the checkout. --no-cuda: leave the cuda device out (it is, too, where nvcc is not found).

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { setup } from './setup.mjs'
import { bundle } from './support/bundled.mjs'
import { execute, SetupError } from './support/exec.mjs'
import { npmCommand } from './support/packages.mjs'
import { Steps, seconds } from './support/report.mjs'
import { glibcFloor, inspect, problems } from './support/shared-objects.mjs'
import { ensureToolchain } from './support/toolchain.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
/** What the package may weigh, packed. */
const largest = 30e6

const isMusl = () => !process.report.getReport().header.glibcVersionRuntime

/** The addon and its siblings into prebuilds/linux-x64. */
async function compile(log, cuda) {
  const work = join(root, 'build', 'prebuild')
  mkdirSync(work, { recursive: true })
  rmSync(join(root, 'prebuilds'), { recursive: true, force: true })
  const prebuildify = join(root, 'node_modules', 'prebuildify', 'bin.js')
  const args = ['--napi', '--strip', '--tag-libc', '--name', 'callgrad', '--cwd', work, '--out', root]
  const compiler = join(root, 'scripts', 'support', 'prebuild-compiler.mjs')
  await execute(process.execPath, [prebuildify, ...args, '--node-gyp', compiler], {
    cwd: root,
    log,
    env: { ...process.env, CALLGRAD_ROOT: root, CALLGRAD_CUDA: cuda ? 'ON' : 'OFF' },
    what: 'the build of the addon',
  })
  return join(root, 'prebuilds', 'linux-x64')
}

/** `npm pack` of a folder; the tarball's path. */
export function pack(folder, out) {
  mkdirSync(out, { recursive: true })
  const npm = npmCommand()
  const args = [...npm.args, 'pack', '--ignore-scripts', '--json', '--pack-destination', out]
  const { status, stdout, stderr } = spawnSync(npm.command, args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new SetupError(`npm pack failed:\n${stderr}`)
  const [{ filename, files }] = JSON.parse(stdout)
  return { tarball: join(out, basename(filename)), files }
}

async function main() {
  const { values } = parseArgs({ options: { out: { type: 'string', default: root }, 'no-cuda': { type: 'boolean' } } })
  if (process.platform !== 'linux' || process.arch !== 'x64' || isMusl())
    throw new SetupError('prebuilt packages are made on linux-x64 with glibc')
  const steps = new Steps()
  await setup(root, { addon: false })
  await ensureToolchain({
    log: join(root, 'build', 'prebuild.log'),
    onInstall: (missing) => steps.progress('toolchain', `installing ${missing.join(', ')} …`),
  })
  let start = Date.now()
  steps.progress('prebuild', 'compiling for baseline, AVX2, AVX-512 and AVX512-BF16 …')
  const folder = await compile(join(root, 'build', 'prebuild.log'), !values['no-cuda'])
  steps.done('prebuild', `${basename(folder)} built in ${seconds(Date.now() - start)}`)
  bundle(root, folder)

  const objects = readdirSync(folder).filter((name) => /\.node$|\.so(?:\.\d+)?$/.test(name))
  const wrong = objects.flatMap((name) => problems(join(folder, name)))
  for (const name of objects) {
    const { versions, needed } = inspect(join(folder, name))
    const size = megabytes(statSync(join(folder, name)).size)
    steps.done(name, `${size}, glibc ${versions.GLIBC ?? 'any'}, needs ${needed.join(' ')}`)
  }
  if (wrong.length > 0) throw new SetupError(wrong.join('\n'))

  start = Date.now()
  const { tarball, files } = pack(root, resolve(values.out))
  const { size } = statSync(tarball)
  const unpacked = files.reduce((sum, file) => sum + file.size, 0)
  steps.done('package', `${tarball}: ${megabytes(size)} packed, ${megabytes(unpacked)} in ${files.length} files`)
  if (size > largest) throw new SetupError(`the package has ${megabytes(size)}, the limit is ${megabytes(largest)}`)
  console.log(`It needs Node.js 20 or newer on linux-x64 with glibc ${glibcFloor} or newer, and nothing else.`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`\nNo package: ${error.message}`)
    process.exitCode = 1
  }
}
