// Builds the checked simt library from a mutated copy of the CUDA sources, with every mutant behind a switch.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execute } from '../support/exec.mjs'
import { findSites, withSwitches } from './sites.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const here = dirname(fileURLToPath(import.meta.url))

/** Writes only what changed, so that a second build is short. */
function put(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text)
}

function copyTree(from, to) {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    put(join(to, file.slice(from.length + 1)), readFileSync(file, 'utf8'))
  }
}

/** Mutants of all CUDA sources: `{ id, file, line, kind, what }`, and the mutated text of each file. */
export function allMutants(folder = join(root, 'native', 'cuda')) {
  const mutants = []
  const texts = new Map()
  for (const file of readdirSync(folder)
    .filter((name) => /\.cuh?$/.test(name))
    .sort()) {
    const source = readFileSync(join(folder, file), 'utf8')
    const sites = file === 'ptx.cuh' ? [] : findSites(source) // its host twin is what runs here
    texts.set(file, withSwitches(source, sites, mutants.length))
    for (const { kind, line, what } of sites) mutants.push({ id: mutants.length, file, line, kind, what })
  }
  return { mutants, texts }
}

/**
 * Builds into build-mutants/ and returns the mutants and the addon beside which the library lies (a copy of the checkout's own).
 *
 * @throws where the compiler refuses the mutated sources: a place that must be known at compile time was taken for one that need not
 */
export async function buildMutants({ log }) {
  const build = join(root, 'build-mutants')
  const source = join(build, 'source')
  const { mutants, texts } = allMutants()
  for (const folder of ['native/core', 'native/cpu', 'native/ops', 'native/simt', 'bindings', 'cmake']) {
    copyTree(join(root, folder), join(source, folder))
  }
  put(join(source, 'CMakeLists.txt'), readFileSync(join(root, 'CMakeLists.txt'), 'utf8'))
  for (const file of readdirSync(join(root, 'native', 'cuda'))) {
    const text = texts.get(file) ?? readFileSync(join(root, 'native', 'cuda', file), 'utf8')
    put(join(source, 'native', 'cuda', file), file === 'launch.h' ? `${text}\n#include "cuda/mutant.h"\n` : text)
  }
  put(join(source, 'native', 'cuda', 'mutant.h'), readFileSync(join(here, 'mutant.h'), 'utf8'))
  put(join(source, 'native', 'simt', 'mutant.cpp'), readFileSync(join(here, 'mutant.cpp'), 'utf8'))

  const out = join(build, 'build')
  const configure = ['-S', source, '-B', out, '-DCALLGRAD_CUDA=OFF', '-DCALLGRAD_ISAS=baseline']
  await execute('cmake', configure, { log, what: 'the configuration of the mutants' })
  const make = ['--build', out, '--target', 'callgrad_simt_checked', '-j', '2']
  await execute('cmake', make, { log, what: 'the build of the mutants' })

  const release = join(out, 'Release')
  const addon = join(release, 'callgrad.node')
  cpSync(join(root, 'build', 'Release', 'callgrad.node'), addon)
  return { mutants, addon, folder: build }
}
