// Stamps: a build step is skipped while the content of what it reads is what it was when the step last succeeded.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** What the addon and the tests' programs beside it are built of. */
export const nativeSources = [
  ...['native', 'bindings', 'cmake', 'CMakeLists.txt'],
  ...['test/native/expect.h', 'test/native/cpu', 'test/native/gpu'],
]

/** Every file below `path` (or `path` itself), sorted, so that two machines walk in one order. Missing paths have none. */
export function filesBelow(path) {
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  const names = readdirSync(path).sort()
  return names.flatMap((name) => filesBelow(join(path, name)))
}

/** SHA-256 over names and contents of the files below `paths` (relative to `root`) and the strings of `extra`. */
export function fingerprint(root, paths, extra = []) {
  const hash = createHash('sha256')
  const field = (bytes) => hash.update(`${bytes.length}:`).update(bytes)
  for (const file of paths.flatMap((path) => filesBelow(join(root, path)))) {
    field(Buffer.from(relative(root, file)))
    field(readFileSync(file))
  }
  for (const text of extra) field(Buffer.from(text))
  return hash.digest('hex')
}

/** Whether `file` holds `value`. */
export function stampIs(file, value) {
  return existsSync(file) && readFileSync(file, 'utf8') === value
}

export function writeStamp(file, value) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, value)
}
