import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const root = fileURLToPath(new URL('../../', import.meta.url))
const lib = join(root, 'lib')

/** From the top; a layer imports itself and what stands below it. Entries of one row stand side by side, `x.ts` and `x` are one. */
const layers = [
  ['index.ts', 'kernels.ts'],
  ['cli'],
  ['train'],
  ['eval'],
  ['model.ts', 'model'],
  ['rollout'],
  ['reward', 'data', 'text', 'formats'],
  ['nn'],
  ['batch.ts', 'batch'],
  ['conformance'],
  ['tensor'],
  ['errors.ts'],
]
const rank = new Map(layers.flatMap((row, i) => row.map((name) => [name, i] as const)))

interface Import {
  from: string
  to: string
  typeOnly: boolean
}

function filesBelow(folder: string, wanted: RegExp): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesBelow(path, wanted)
    return wanted.test(entry.name) ? [path] : []
  })
}

/** Imports of one source text, static, re-exporting and dynamic. */
function importsIn(source: string): { specifier: string; typeOnly: boolean }[] {
  const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
  return [
    ...[...source.matchAll(statement)].map((m) => ({ specifier: m[2]!, typeOnly: m[1] !== undefined })),
    ...[...source.matchAll(dynamic)].map((m) => ({ specifier: m[1]!, typeOnly: false })),
  ]
}

const imports: Import[] = filesBelow(lib, /\.ts$/).flatMap((file) =>
  importsIn(readFileSync(file, 'utf8'))
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier, typeOnly }) => ({
      from: relative(lib, file),
      to: relative(lib, resolve(dirname(file), specifier.replace(/\.js$/, '.ts'))),
      typeOnly,
    })),
)

const layerOf = (path: string) => path.split(sep)[0]!

/** A cycle among `edges` as a path, or null. */
function cycleIn(edges: readonly (readonly [string, string])[]): string[] | null {
  const next = new Map<string, Set<string>>()
  for (const [a, b] of edges) next.set(a, (next.get(a) ?? new Set()).add(b))
  const done = new Set<string>()
  const visit = (node: string, path: string[]): string[] | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (done.has(node)) return null
    for (const target of next.get(node) ?? []) {
      const found = visit(target, [...path, node])
      if (found) return found
    }
    done.add(node)
    return null
  }
  for (const node of next.keys()) {
    const found = visit(node, [])
    if (found) return found
  }
  return null
}

test('the readers of imports and cycles see what they should', () => {
  const source = `import type { A } from './a.js'\nimport {\n  b,\n} from './b.js'\nexport * from "./c.js"\nawait import('./d.js')\nimport './e.js'`
  assert.equal(importsIn(source), [
    { specifier: './a.js', typeOnly: true },
    { specifier: './b.js', typeOnly: false },
    { specifier: './c.js', typeOnly: false },
    { specifier: './e.js', typeOnly: false },
    { specifier: './d.js', typeOnly: false },
  ])
  assert.equal(
    cycleIn([
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'b'],
    ]),
    ['b', 'c', 'b'],
  )
  assert.is(
    cycleIn([
      ['a', 'b'],
      ['b', 'c'],
      ['a', 'c'],
    ]),
    null,
  )
})

test('every file of lib/ stands in a layer', () => {
  const homeless = filesBelow(lib, /\.ts$/)
    .map((file) => relative(lib, file))
    .filter((file) => !rank.has(layerOf(file)))
  assert.equal(homeless, [])
})

test('imports point downward', () => {
  assert.ok(imports.length > 0)
  const upward = imports.filter(({ from, to }) => {
    const target = rank.get(layerOf(to))
    return target === undefined || target < rank.get(layerOf(from))!
  })
  assert.equal(
    upward.map(({ from, to }) => `${from} imports ${to}`),
    [],
  )
})

test('imports resolve to files', () => {
  const lost = imports.filter(({ to }) => !existsSync(join(lib, to)))
  assert.equal(
    lost.map(({ from, to }) => `${from} imports ${to}`),
    [],
  )
})

test('reward, data, text and formats import each other without a cycle', () => {
  const between = imports
    .map(({ from, to }) => [layerOf(from), layerOf(to)] as const)
    .filter(([a, b]) => a !== b && rank.get(a) === rank.get(b))
  assert.is(cycleIn(between), null)
})

test('no file imports itself by a detour', () => {
  assert.is(cycleIn(imports.filter((i) => !i.typeOnly).map(({ from, to }) => [from, to] as const)), null)
})

test('entry points only re-export', () => {
  for (const name of ['index.ts', 'kernels.ts'].filter((file) => existsSync(join(lib, file)))) {
    const code = readFileSync(join(lib, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    assert.is(
      code.replace(/export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+'[^']+'/g, '').trim(),
      '',
      name,
    )
  }
})

test('only lib/tensor touches the native addon', () => {
  const loaders = filesBelow(lib, /\.ts$/)
    .filter((file) => /node-gyp-build|\.node['"`]/.test(readFileSync(file, 'utf8')))
    .map((file) => layerOf(relative(lib, file)))
  assert.equal(
    loaders.filter((layer) => layer !== 'tensor'),
    [],
  )
})

/** `#include` targets per native source file. */
function includes(folder: string): { file: string; target: string }[] {
  return filesBelow(join(root, folder), /\.(?:cc|cpp|h|hpp|cu|cuh|inc)$/).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^\s*#\s*include\s+["<]([^">]+)[">]/gm)].map((m) => ({
      file: relative(root, file),
      target: m[1]!,
    })),
  )
}

test('native/ knows nothing of Node', () => {
  const wrong = includes('native').filter(({ target }) =>
    /^(?:napi|node|js_native_api|node_api|uv|v8)[.\-_\w]*\.h$|node_api/.test(target),
  )
  assert.equal(wrong, [])
})

test('bindings/ computes nothing and knows no kernel', () => {
  const wrong = includes('bindings').filter(({ target }) =>
    /^(?:numeric|immintrin\.h)$|dnnl|^(?:cpu|cuda|simt)\//.test(target),
  )
  assert.equal(wrong, [])
})

test('native/core and native/ops stand below the devices', () => {
  const wrong = includes('native').filter(
    ({ file, target }) => /^native.(?:core|ops)/.test(file) && /^(?:\.\.\/|native\/)*(?:cpu|cuda|simt)\//.test(target),
  )
  assert.equal(wrong, [])
})

test.run()
