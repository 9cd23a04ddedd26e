// Builds a kernel file of somebody's own into a copy of the device's library, by the commands that CMake has written down.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fail } from '../../errors.js'
import { findAddon } from '../../tensor/addon-file.js'

export type OwnDevice = 'simt' | 'cuda'

export interface OwnBuild {
  /** What CALLGRAD_ADDON must say for a process to run the kernel. */
  addon: string
  dispose(): void
}

interface Commands {
  compile: string[]
  link: string[]
}

const nameOf = { simt: 'callgrad_simt_checked', cuda: 'callgrad_cuda' } as const

function addonFile(): string {
  const { file, from } = findAddon('glibc')
  if (file && from !== 'prebuilt package') return file
  return fail(
    'Error',
    'ERR_BUILD',
    '[bench] a kernel of your own is linked to the objects of a build: expected a git checkout after "npm run setup"',
  )
}

function commandsFor(device: OwnDevice, addon: string): Commands {
  const file = join(dirname(dirname(addon)), 'own-kernel', `${nameOf[device]}.json`)
  if (!existsSync(file)) {
    const missing = device === 'cuda' ? 'was built without nvcc, so it cannot build CUDA code' : 'is older than this'
    fail('Error', 'ERR_BUILD', `[bench] expected ${file}: the build ${missing}; "npm run setup" builds again`)
  }
  const { compile, link } = JSON.parse(readFileSync(file, 'utf8')) as { compile: string; link: string }
  const parts = (text: string) => text.split(';').filter((part) => part !== '')
  return { compile: parts(compile), link: parts(link) }
}

/** The first lines of what a compiler or linker said; the rest of a template's story helps nobody. */
const excerpt = (text: string) => text.trim().split('\n').slice(0, 30).join('\n')

function runTool(command: readonly string[], what: string): void {
  const { status, signal, stderr, stdout, error } = spawnSync(command[0]!, command.slice(1), {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (status === 0) return
  const said = error ? error.message : excerpt(`${stdout}${stderr}`) || `ended by ${signal ?? status}`
  fail('Error', 'ERR_BUILD', `[bench] ${what}:\n${said}`)
}

/**
 * Compiles `file` for `device` and links it into a library of its own, in a temporary folder. The file must define the kernel of `op` by
 * `CALLGRAD_KERNEL`.
 *
 * @throws `ERR_BUILD` with what the compiler said, or that the file has no kernel for the op; `ERR_IO` where there is no such file
 */
export function buildOwnKernel(op: string, file: string, device: OwnDevice): OwnBuild {
  if (!existsSync(file)) fail('Error', 'ERR_IO', `[bench] --kernel: expected a file, got ${file}`)
  const addon = addonFile()
  const { compile, link } = commandsFor(device, addon)
  const folder = mkdtempSync(join(tmpdir(), 'callgrad-own-'))
  const dispose = () => rmSync(folder, { recursive: true, force: true })
  try {
    const object = join(folder, 'own.o')
    const symbol = `callgradOwnKernel_${op}`
    runTool([...compile, '-c', resolve(file), '-o', object], `${file} does not compile`)
    const library = join(folder, device === 'simt' ? `${nameOf.simt}.so` : basename(addon))
    // linked alone first: what it lacks of itself and what it lacks of us are different mistakes
    runTool(
      [link[0]!, '-shared', '-o', join(folder, 'alone.so'), object, `-Wl,--require-defined=${symbol}`],
      `${file} has no kernel for ${op}: expected CALLGRAD_KERNEL(${op}, function) in it`,
    )
    runTool([...link, object, '-o', library], `${file} does not link`)
    if (device === 'simt') copyFileSync(addon, join(folder, basename(addon)))
    return { addon: join(folder, basename(addon)), dispose }
  } catch (error) {
    dispose()
    throw error
  }
}
