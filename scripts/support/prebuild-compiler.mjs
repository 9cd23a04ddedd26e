#!/usr/bin/env node
// What prebuildify calls in place of node-gyp: builds the addon for other machines by cmake-js. prebuildify's own arguments
// (--target, --devdir, …) are about headers that Node-API addons do not need; cmake-js would read them as something else.
//
// Runs in build/prebuild, where prebuildify then takes build/Release/* from.

import { spawnSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'

const root = process.env.CALLGRAD_ROOT
// Each compiler process takes up to about 1 GiB on the largest kernel files.
const parallel = Math.max(1, Math.min(cpus().length, Math.floor(totalmem() / 2 ** 30)))
const cuda = `--CDCALLGRAD_CUDA=${process.env.CALLGRAD_CUDA ?? 'ON'}`
const options = [cuda, '--CDCALLGRAD_PORTABLE=ON', '--CDCALLGRAD_ISAS=baseline;avx2;avx512;avx512bf16']
const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js')
const place = ['--directory', root, '--out', join(process.cwd(), 'build'), '--config', 'Release']

// configure first: where CMake has run before, "build" alone would keep the options of that time
for (const args of [
  ['configure', ...place, ...options],
  ['build', ...place, '--parallel', String(parallel)],
]) {
  const { status } = spawnSync(process.execPath, [cmakeJs, ...args], { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
  if (process.exitCode !== 0) break
}
