import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's root: this file is dist/lib/tensor/addon-file.js. */
export const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

export interface AddonFile {
  file: string | null
  from: 'prebuilt package' | 'source build' | 'CALLGRAD_ADDON' | null
}

/**
 * The file that would be loaded, found without loading it: the one that CALLGRAD_ADDON names, else as node-gyp-build looks, a
 * build of the checkout before a prebuilt one.
 */
export function findAddon(libc: 'glibc' | 'musl'): AddonFile {
  const { CALLGRAD_ADDON, CALLGRAD_PREBUILD, PREBUILDS_ONLY } = process.env
  if (CALLGRAD_ADDON) {
    const file = resolve(CALLGRAD_ADDON)
    return { file: existsSync(file) ? file : null, from: 'CALLGRAD_ADDON' }
  }
  const root = CALLGRAD_PREBUILD || packageRoot
  const built = join(root, 'build', 'Release')
  const prebuilt = join(root, 'prebuilds', `${process.platform}-${process.arch}`)
  const fits = (name: string) => name.endsWith('.node') && (!/\b(?:glibc|musl)\b/.test(name) || name.includes(libc))
  const first = (folder: string) => existsSync(folder) && readdirSync(folder).find(fits)
  const ours = PREBUILDS_ONLY ? null : first(built)
  if (ours) return { file: join(built, ours), from: 'source build' }
  const theirs = first(prebuilt)
  return theirs ? { file: join(prebuilt, theirs), from: 'prebuilt package' } : { file: null, from: null }
}
