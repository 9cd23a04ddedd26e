#!/usr/bin/env node
// Keeps CUDA sources buildable by the host compiler: what only nvcc understands stays in the two files that have a twin for it.
//
//   node scripts/lint-native.mjs     exits with 1 and names file, line and rule

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const rules = [
  { pattern: /<<</, allowed: [], message: 'a raw launch; use launch() of cuda/launch.h' },
  {
    pattern: /\basm\b/,
    allowed: ['native/cuda/ptx.cuh', 'native/simt/context_switch.cpp'],
    message: 'inline assembly; add a function with a host twin to cuda/ptx.cuh',
  },
  {
    pattern: /\b__shared__\b/,
    allowed: ['native/cuda/launch.h'],
    message: 'raw shared memory; use CG_SHARED or CG_DYNAMIC_SHARED of cuda/launch.h',
  },
  { pattern: /\b__launch_bounds__\b/, allowed: ['native/cuda/launch.h'], message: 'use CG_LAUNCH_BOUNDS' },
  {
    pattern: /#\s*include\s*[<"](cuda|cub|mma|cooperative_groups|curand|cublas)[\w/.]*[>"]/,
    skip: /#\s*include\s*"cuda\//,
    allowed: ['native/cuda/runtime_cuda.cpp'],
    message: "NVIDIA's headers; kernels are built without a toolkit too",
  },
  {
    pattern: /\batomicAdd\s*\(\s*(?:reinterpret_cast<)?(?:float|double)\b/,
    allowed: [],
    message: 'an atomic float sum, whose order is by chance',
  },
]

/** Source without comments and string literals, line by line. */
export function codeLines(text) {
  const blank = (match) => match.replace(/[^\n]/g, ' ')
  return text
    .replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"/g, (match) =>
      match.startsWith('"') && /^"[\w/.]+"$/.test(match) ? match : blank(match),
    )
    .split('\n')
}

/** `{ line, message }` of each breach in one file; `path` is relative to the root, with slashes. */
export function breaches(path, text) {
  const found = []
  codeLines(text).forEach((code, index) => {
    for (const rule of rules) {
      if (rule.allowed.includes(path) || !rule.pattern.test(code) || rule.skip?.test(code)) continue
      found.push({ line: index + 1, message: rule.message })
    }
  })
  return found
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sources(path)
    return /\.(cu|cuh|cpp|h)$/.test(entry.name) ? [path] : []
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url))
  let count = 0
  for (const folder of ['native/cuda', 'native/simt', 'examples'].map((f) => join(root, f))) {
    for (const file of sources(folder)) {
      const path = relative(root, file)
      for (const { line, message } of breaches(path, readFileSync(file, 'utf8'))) {
        console.error(`${path}:${line}: ${message}`)
        count++
      }
    }
  }
  if (count > 0) process.exitCode = 1
}
