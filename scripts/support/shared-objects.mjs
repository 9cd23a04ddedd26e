// What a shared object asks of the machine that loads it, as objdump prints it.

import { basename } from 'node:path'
import { output, SetupError } from './exec.mjs'

/** The oldest C library that prebuilt files may need: Debian 12, Ubuntu 22.04, RHEL 9. */
export const glibcFloor = '2.34'

/** Libraries that a machine with Node has, and those that are bundled. */
const allowed = /^(?:libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|libgomp|libOpenCL|ld-linux-x86-64)\.so\.\d+$/

/** "2.34" as a number that compares as versions do. */
const order = (version) => version.split('.').reduce((sum, part, i) => sum + Number(part) / 1000 ** i, 0)

/** The newest version of each symbol set that the text of `objdump -T` names, as { GLIBC: '2.34', GLIBCXX: '3.4.29' }. */
export function newestVersions(symbols) {
  const newest = {}
  for (const [, set, version] of symbols.matchAll(/\b(GLIBC|GLIBCXX|CXXABI|GCC)_([\d.]+)/g)) {
    if (!newest[set] || order(version) > order(newest[set])) newest[set] = version
  }
  return newest
}

/** { versions, needed } of a file. */
export function inspect(file) {
  const symbols = output('objdump', ['-T', file])
  const headers = output('objdump', ['-p', file])
  if (symbols === null || headers === null)
    throw new SetupError('objdump is needed to check prebuilt files (package binutils)')
  const needed = [...headers.matchAll(/^\s+NEEDED\s+(\S+)$/gm)].map((match) => match[1])
  return { versions: newestVersions(symbols), needed }
}

/** What is wrong with the file for machines of the floor; empty when it may be shipped. */
export function problems(file) {
  const { versions, needed } = inspect(file)
  const wrong = []
  if (versions.GLIBC && order(versions.GLIBC) > order(glibcFloor))
    wrong.push(`${basename(file)} needs glibc ${versions.GLIBC}, the floor is ${glibcFloor}`)
  if (file.endsWith('.node') && versions.GLIBCXX)
    wrong.push(`${basename(file)} needs libstdc++ (GLIBCXX_${versions.GLIBCXX}), which should be inside`)
  for (const name of needed) if (!allowed.test(name)) wrong.push(`${basename(file)} needs ${name}`)
  return wrong
}
