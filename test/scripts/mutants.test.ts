import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from '../support/shared.js'

interface Site {
  kind: string
  line: number
  what: string
}
const { findSites, withSwitches } = (await import(join(repositoryRoot, 'scripts', 'mutants', 'sites.mjs'))) as {
  findSites: (source: string) => Site[]
  withSwitches: (source: string, sites: Site[], first: number) => string
}

const kernel = `// __syncthreads(); in a comment is none
Status host(int i, int n) { return i < n ? Status() : error(); }
struct Held { CG_DEVICE Held(int n) : n_(n) {} int n_; };
__global__ void CG_LAUNCH_BOUNDS(256, 1)
    scale(const float* x, float* y, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (i >=
      n)
    return;
  __syncthreads();
  cp_async_wait<kStages - 2>();
  const float v = i < n ? x[i] : 0.0f;
  if constexpr (kWidth < 4) y[i] = 0;
  y[at(i, 3)] = v;
}
`

test('places of device code are found, those of the host, of comments and of constants are not', () => {
  const found = findSites(kernel).map(({ kind, line, what }) => `${kind} ${line} ${what}`)
  assert.equal(found, [
    'swap 6 blockIdx.x → blockIdx.y',
    'bound 7 if (i >= n)',
    'sync 10 __syncthreads()',
    'sync 11 cp_async_wait<kStages - 2>()',
    'bound 12 i < n ? …',
    'swap 14 at(i, 3) → at(3, i)',
  ])
})

test('every place gets a switch of its own number, and lines stay where they were', () => {
  const text = withSwitches(kernel, findSites(kernel), 40)
  assert.is(text.split('\n').length, kernel.split('\n').length)
  const numbers = [...text.matchAll(/::callgrad::mutant\((\d+)\)/g)].map((m) => Number(m[1]))
  assert.equal([...new Set(numbers)], [40, 41, 42, 43, 44, 45])
  assert.match(text, '!::callgrad::mutant(41) && (i >=')
  assert.match(text, '(::callgrad::mutant(42) ? void() : __syncthreads());')
  assert.match(text, '(::callgrad::mutant(44) || (i < n)) ? x[i] : 0.0f')
})

test('every barrier, wait and fence of the kernels is a place', () => {
  const folder = join(repositoryRoot, 'native', 'cuda')
  for (const file of readdirSync(folder).filter((name) => /\.cuh?$/.test(name) && name !== 'ptx.cuh')) {
    const source = readFileSync(join(folder, file), 'utf8')
    const code = source.replace(/\/\/[^\n]*/g, '')
    const calls = code.match(/\b(__sync\w+|__threadfence\w*|cp_async_(commit|wait\w*)(<[^;<>]*>)?)\(/g) ?? []
    assert.is(findSites(source).filter(({ kind }) => kind === 'sync').length, calls.length, file)
  }
})

test('reasons for survivors belong to places that exist', () => {
  const file = join(repositoryRoot, 'scripts', 'mutants', 'survivors.json')
  const entries = JSON.parse(readFileSync(file, 'utf8')) as { file: string; what: string; reason: string }[]
  for (const { file: name, what, reason } of entries) {
    const sites = findSites(readFileSync(join(repositoryRoot, 'native', 'cuda', name), 'utf8'))
    assert.ok(
      sites.some((site) => site.what === what),
      `${name}: ${what}`,
    )
    assert.ok(reason.length > 10, `${name}: ${what}`)
  }
})

test.run()
