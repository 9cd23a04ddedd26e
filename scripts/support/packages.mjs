// Whether node_modules is what package-lock.json asks for.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Compares package-lock.json with npm's own record of what it installed (node_modules/.package-lock.json).
 * Optional packages may be absent: they are other platforms' binaries.
 */
export function packagesAreCurrent(root) {
  const installedFile = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedFile)) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link) return true
    const there = installed[path]
    if (!there) return entry.optional === true
    return there.version === entry.version && there.integrity === entry.integrity && existsSync(join(root, path))
  })
}

/** The npm that runs this script, else the one on the path. */
export function npmCommand(env = process.env) {
  const cli = env.npm_execpath
  return cli?.endsWith('.js') ? { command: process.execPath, args: [cli] } : { command: 'npm', args: [] }
}
