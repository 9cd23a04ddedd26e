// The tools that the native addon needs: a C++20 compiler, CMake, make or ninja, and the headers of oneDNN.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { execute, output, SetupError } from './exec.mjs'

/** First line of `tool --version`, or null. */
const version = (tool) => output(tool, ['--version'])?.split('\n')[0] ?? null

/** Whether a compiler takes the program under -std=c++20. */
function compiles(compiler, program) {
  const args = ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-']
  return spawnSync(compiler, args, { input: program, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0
}

/** What is there: compiler command, its version, CMake's, oneDNN's; null for what is missing. */
export function findToolchain(env = process.env) {
  const candidates = [env.CXX, 'g++', 'clang++', 'c++'].filter(Boolean)
  const cxx20 =
    '#include <concepts>\n#include <span>\ntemplate <std::integral T> T f(std::span<T> s) { return s[0]; }\n'
  const compiler = candidates.find((c) => compiles(c, cxx20)) ?? null
  const oneDnn = '#include <oneapi/dnnl/dnnl.h>\n'
  return {
    compiler,
    compilerVersion: compiler && version(compiler),
    cmake: version('cmake'),
    builder: version('ninja') ?? version('make'),
    oneDnn: compiler !== null && compiles(compiler, oneDnn),
  }
}

/** Debian packages that would bring what `found` lacks. */
export function missingPackages(found) {
  return [
    !found.compiler && 'g++',
    !found.cmake && 'cmake',
    !found.builder && 'make',
    !found.oneDnn && 'libdnnl-dev',
  ].filter(Boolean)
}

const hasApt = () => existsSync('/usr/bin/apt-get')
const isRoot = () => process.getuid?.() === 0

/** The one command that installs `packages` on this machine, or a sentence where there is no apt. */
export function installHint(packages) {
  const command = `apt-get update && apt-get install -y ${packages.join(' ')}`
  if (!hasApt()) return `Install with this system's package manager what Debian calls: ${packages.join(' ')}`
  return isRoot() ? command : `sudo sh -c '${command}'`
}

/** Installs Debian packages when this user may; throws a SetupError that says what to type when not. */
export async function install(packages, { log, onLine }) {
  if (!hasApt() || !isRoot())
    throw new SetupError(`missing: ${packages.join(', ')}. To install:\n\n    ${installHint(packages)}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { log, env, onLine, what: 'installing packages' }
  await execute('apt-get', ['update', '-q'], options)
  await execute('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], options)
}

/** The toolchain, installed first where something is missing and this user may. */
export async function ensureToolchain({ log, onLine, onInstall }) {
  let found = findToolchain()
  const packages = missingPackages(found)
  if (packages.length === 0) return found
  onInstall(packages)
  await install(packages, { log, onLine })
  found = findToolchain()
  const still = missingPackages(found)
  if (still.length > 0) throw new SetupError(`still missing after the installation: ${still.join(', ')}`)
  return found
}
