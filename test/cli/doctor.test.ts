import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Diagnosis, readDescription } from '../../lib/cli/doctor/diagnosis.js'
import { type Facts, findProblems } from '../../lib/cli/doctor/problems.js'
import { attention, linear, logprob, numbers } from '../../lib/cli/doctor/references.js'
import { selfTest } from '../../lib/cli/doctor/self-test.js'
import { repositoryRoot } from '../support/shared.js'
import { runCallgrad } from './support/callgrad.js'

const GB = 1e9

/** A machine without problems. */
const sound: Facts = {
  node: '20.20.2',
  platform: 'linux-x64',
  glibc: '2.36',
  cpu: {
    model: 'x',
    threads: 8,
    features: ['avx2', 'fma', 'avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512_bf16'],
  },
  cpuQuota: null,
  memory: { total: 64 * GB, available: 60 * GB, limit: null },
  disk: { folder: '/x', free: 100 * GB },
  nvidia: { files: false, driver: null, gpus: [] },
  addon: { file: '/x/prebuilds/linux-x64/callgrad.glibc.node', from: 'prebuilt package', root: '/x', checkout: false },
  oneDnn: null,
  settings: {},
  package: { version: '1.0.0' },
  load: { ok: true, reason: null },
  kernels: { instructions: 'avx512bf16', threads: 8, gemm: 'own kernels' },
  oneDnnOpened: null,
  devices: [{ name: 'cpu', available: true, description: '' }],
  selfTests: [],
}
const gpu = { name: 'H100', driver: '580', computeCapability: '9.0', memory: 80 * GB }
const failed = { test: 'linear f32', error: 1, ok: false }

test('a sound machine has no problems, and each problem has its remedy', () => {
  assert.equal(findProblems(sound), [])
  const cases: [string, Partial<Facts>, 'error' | 'warning', string, string][] = [
    ['node', { node: '18.19.1' }, 'error', 'Node.js 18.19.1 is too old', 'Node.js 20'],
    ['musl', { glibc: null }, 'error', 'not glibc', 'Debian'],
    ['arm', { platform: 'linux-arm64' }, 'error', 'linux-arm64', 'x86-64'],
    ['glibc', { glibc: '2.31' }, 'error', 'glibc 2.31 is older', 'Ubuntu 22.04'],
    [
      'no addon',
      { load: { ok: false, reason: 'x' }, addon: { ...sound.addon, file: null, from: null, checkout: true } },
      'error',
      'no native addon',
      'npm run setup',
    ],
    ['crash', { load: { ok: false, reason: 'was ended by SIGILL' } }, 'error', 'SIGILL', 'CALLGRAD_ISA=baseline'],
    [
      'isa',
      { settings: { CALLGRAD_ISA: 'avx2' }, kernels: { ...sound.kernels!, instructions: 'avx2' } },
      'warning',
      'at avx2; this CPU has avx512bf16',
      'unset CALLGRAD_ISA',
    ],
    ['unknown isa', { settings: { CALLGRAD_ISA: 'sse' } }, 'warning', 'none that this CPU has', 'unset it'],
    [
      'amx',
      { cpu: { ...sound.cpu, features: [...sound.cpu.features, 'amx_tile', 'amx_bf16'] } },
      'warning',
      'libdnnl.so.2 was not found',
      'libdnnl2',
    ],
    [
      'unopened',
      { settings: { CALLGRAD_GEMM: 'onednn' }, oneDnn: { file: '/l/libdnnl.so.2', from: 'system' } },
      'warning',
      'was not opened',
      'ldd /l/libdnnl.so.2',
    ],
    ['quota', { cpuQuota: 2.5 }, 'warning', 'may use 2.5 CPUs', 'CALLGRAD_THREADS=2'],
    [
      'one thread',
      { settings: { OMP_NUM_THREADS: '1' }, kernels: { ...sound.kernels!, threads: 1 } },
      'warning',
      '7 of 8 CPUs idle',
      'unset OMP_NUM_THREADS',
    ],
    ['memory', { memory: { total: 4 * GB, available: 1 * GB, limit: null } }, 'warning', '1.0 GB of memory', 'smaller'],
    ['disk', { disk: { folder: '/x', free: 5e8 } }, 'warning', '0.50 GB of disk', 'free some'],
    ['gpu', { nvidia: { files: true, driver: '580', gpus: [gpu] } }, 'error', 'no cuda device', 'nvcc'],
    [
      'driver',
      {
        nvidia: { files: true, driver: '470', gpus: [gpu] },
        devices: [...sound.devices, { name: 'cuda:0', available: false, reason: 'too old', description: '' }],
      },
      'error',
      'cuda is not available: too old',
      'nvidia-smi',
    ],
    [
      'kernels',
      { selfTests: [{ device: 'cpu', results: [failed], rounds: 1, gflops: {} }] },
      'error',
      'wrong results: linear f32',
      'report it',
    ],
    ['died', { selfTests: [{ device: 'cpu', failed: 'was ended by SIGSEGV' }] }, 'error', 'SIGSEGV', 'report it'],
  ]
  for (const [name, change, severity, what, remedy] of cases) {
    const problems = findProblems({ ...sound, ...change })
    assert.is(problems.length, 1, `${name}: ${JSON.stringify(problems)}`)
    assert.is(problems[0]!.severity, severity, name)
    assert.match(problems[0]!.what, what)
    assert.match(problems[0]!.remedy, remedy)
  }
})

test('errors come first', () => {
  const problems = findProblems({ ...sound, node: '18.0.0', cpuQuota: 1, disk: { folder: '/', free: 0 } })
  assert.equal(
    problems.map((p) => p.severity),
    ['error', 'warning', 'warning'],
  )
})

test('the description of the cpu device is read', () => {
  const text = '2 threads, avx512bf16 with AMX, GEMM by oneDNN 2.6.3 in bf16, else own kernels'
  const gemm = 'oneDNN 2.6.3 in bf16, else own kernels'
  assert.equal(readDescription(text), { instructions: 'avx512bf16 with AMX', gemm })
})

test('the references of the self-test: one head equals softmax by hand, log-probs sum to one', () => {
  const [q, k, v] = [numbers(2, 4, 1), numbers(2, 4, 2), numbers(2, 4, 3)]
  const score = (s: number) => [0, 1, 2, 3].reduce((sum, d) => sum + q.values[4 + d]! * k.values[4 * s + d]!, 0) / 2
  const [a, b] = [Math.exp(score(0)), Math.exp(score(1))]
  const out = attention(q, k, v, 4)
  assert.equal([...out.values.slice(0, 4)], [...v.values.slice(0, 4)])
  assert.ok(Math.abs(out.values[4]! - (a * v.values[0]! + b * v.values[4]!) / (a + b)) < 1e-12)
  const [h, w] = [numbers(1, 8, 4), numbers(5, 8, 5)]
  const sum = [0, 1, 2, 3, 4].reduce((s, t) => s + Math.exp(logprob(h, w, Int32Array.of(t)).values[0]!), 0)
  assert.ok(Math.abs(sum - 1) < 1e-12)
  assert.is(linear(h, w).values.length, 5)
})

test('the self-test finds every kernel good here', async () => {
  const { results, rounds, gflops } = await selfTest('cpu', 1)
  assert.is(results.length, 14)
  for (const { test: name, ok, error } of results) assert.ok(ok, `${name}: error ${error}`)
  assert.ok(rounds >= 1 && gflops.f32! > 0)
})

const doctor = (args: string[], env: Record<string, string> = {}) =>
  runCallgrad(['doctor', ...args], repositoryRoot, env)

test('--json says what was found; a folder without an addon is an error with a remedy, not a crash', async () => {
  const good = JSON.parse((await doctor(['--json', '--no-self-test'])).out) as Diagnosis
  assert.is(good.load.ok, true)
  assert.ok(good.addon.file?.endsWith('.node') && good.kernels && good.kernels.threads >= 1)
  assert.ok(good.devices.some((d) => d.name === 'cpu' && d.available))
  const bad = await doctor(['--json'], { CALLGRAD_PREBUILD: join(repositoryRoot, 'docs') })
  assert.is(bad.code, 1)
  const { load, problems } = JSON.parse(bad.out) as Diagnosis
  assert.is(load.ok, false)
  assert.match(problems[0]!.what, 'no native addon')
  const text = await doctor(['--no-self-test'], { CALLGRAD_PREBUILD: join(repositoryRoot, 'docs') })
  assert.match(text.out, /error +there is no native addon\n +→ .*npm run setup/)
})

test.run()
