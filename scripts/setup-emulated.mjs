#!/usr/bin/env node
// Builds the addon with the `cuda` device over an emulated CUDA runtime, which interprets the PTX that nvcc makes: the
// compiled kernels and the host side of CUDA run where there is no GPU.
//
//   npm run setup:emulated [-- --emulator DIR]     DIR: default ../shared/tools/cuda_emulator
//
// Everything goes to build-emulated/. Where nvcc or the emulator is absent it says so and ends with 0.

import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildProgress, types } from './setup.mjs'
import { execute, output, SetupError } from './support/exec.mjs'
import { Steps, seconds } from './support/report.mjs'
import { fingerprint, nativeSources, stampIs, writeStamp } from './support/stamp.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const build = join(root, 'build-emulated')

/** The addon that this makes. */
export const emulatedAddon = join(build, 'addon', 'Release', 'callgrad.node')

/** The toolkit of $CUDACXX, else of the nvcc on the path; null without one. */
function findToolkit() {
  const nvcc = process.env.CUDACXX ?? output('sh', ['-c', 'command -v nvcc'])
  if (!nvcc || !existsSync(nvcc)) return null
  // a script on the path may stand for the compiler: what it would run says where it lives
  const { stderr } = spawnSync(nvcc, ['--dryrun', '-E', '-x', 'cu', '/dev/null'], { encoding: 'utf8' })
  const top = /^#\$ TOP=(.*)$/m.exec(stderr ?? '')?.[1]
  const home = top ? resolve(top) : dirname(dirname(realpathSync(nvcc)))
  return existsSync(join(home, 'include', 'cuda_runtime_api.h')) ? home : null
}

/** Why there is nothing to build, or null. */
export function whyNot(emulator) {
  if (!findToolkit()) return 'nvcc is not installed'
  if (!existsSync(join(emulator, 'Makefile'))) return `there is no CUDA emulator at ${emulator}`
  return null
}

export const defaultEmulator = resolve(root, '..', 'shared', 'tools', 'cuda_emulator')

async function emulatorToolkit({ steps, log, emulator, home }) {
  const out = join(build, 'emulator')
  const stampFile = join(out, '.stamp')
  const stamp = fingerprint(emulator, ['src', 'Makefile'], [home])
  if (stampIs(stampFile, stamp)) return
  const start = Date.now()
  steps.progress('emulator', 'compiling …')
  const args = ['-C', emulator, 'toolkit', `CUDA_HOME=${home}`, `BUILD=${out}`, '-j2']
  await execute('make', args, { log, what: 'the build of the CUDA emulator' })
  writeStamp(stampFile, stamp)
  steps.done('emulator', `built in ${seconds(Date.now() - start)}`)
}

/** The addon without kernels for the cpu and without simt: only `cuda:0` is meant to be used. */
async function addon({ steps, log }) {
  const out = join(build, 'addon')
  const stampFile = join(out, '.stamp')
  const stamp = fingerprint(root, nativeSources, [])
  if (stampIs(stampFile, stamp) && existsSync(emulatedAddon)) return
  const start = Date.now()
  const toolkit = join(build, 'emulator', 'toolkit')
  const env = { ...process.env, CUDACXX: join(toolkit, 'bin', 'nvcc'), NVCC_APPEND_FLAGS: '--no-compress' }
  const settings = [
    'CALLGRAD_ISAS=',
    'CALLGRAD_SIMT=OFF',
    'CALLGRAD_CUDA_ARCHITECTURES=',
    'CALLGRAD_CUDART=cudart', // shared with what stands in for cuBLAS: one copy of the emulator is one device
    `CUDAToolkit_ROOT=${toolkit}`,
  ]
  steps.progress('addon', 'configuring …')
  const configure = ['-S', root, '-B', out, ...settings.map((setting) => `-D${setting}`)]
  await execute('cmake', configure, { log, env, what: 'the configuration of the emulated addon' })
  await execute('cmake', ['--build', out, '--parallel', '2'], {
    log,
    env,
    what: 'the build of the emulated addon',
    onLine: (line) => {
      const step = buildProgress(line)
      if (step) steps.progress('addon', `${String(step.percent).padStart(3)} %  ${step.file}`, step.percent)
    },
  })
  writeStamp(stampFile, stamp)
  steps.done('addon', `built in ${seconds(Date.now() - start)}`)
}

/** Builds what is not up to date; false, after a line that says why, where there is nothing to build with. */
export async function setupEmulated(emulator = defaultEmulator) {
  const reason = whyNot(emulator)
  if (reason) {
    console.log(`emulated CUDA: skipped, ${reason}`)
    return false
  }
  const context = { root, steps: new Steps(), log: join(build, 'setup.log'), emulator, home: findToolkit() }
  await emulatorToolkit(context)
  await addon(context)
  await types(context)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { values } = parseArgs({ options: { emulator: { type: 'string', default: defaultEmulator } } })
    if (await setupEmulated(resolve(values.emulator))) console.log(`${emulatedAddon} is up to date.`)
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`\nSet-up stopped: ${error.message}`)
    process.exitCode = 1
  }
}
