// What is wrong, and what to do about it: rules on facts, so that each can be tried without the machine that has the problem.

import type { Diagnosis } from './diagnosis.js'

export interface Problem {
  /** An error keeps callgrad, or a device that is there, from working; a warning costs speed or may fail later. */
  severity: 'error' | 'warning'
  what: string
  remedy: string
}

export type Facts = Omit<Diagnosis, 'problems'>

const oldestNode = 20
/** scripts/support/shared-objects.mjs checks prebuilt files against the same floor. */
const oldestGlibc = '2.34'
const GB = 1e9

const older = (a: string, b: string): boolean => {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number)) as [number[], number[]]
  for (let i = 0; i < Math.max(x.length, y.length); i++)
    if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) < (y[i] ?? 0)
  return false
}

/** Every problem of the facts, errors first. */
export function findProblems(facts: Facts): Problem[] {
  const rules = [platform, addon, instructions, oneDnn, threads, room, gpu, selfTests]
  const problems = rules.flatMap((rule) => rule(facts))
  return problems.sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'))
}

const error = (what: string, remedy: string): Problem => ({ severity: 'error', what, remedy })
const warning = (what: string, remedy: string): Problem => ({ severity: 'warning', what, remedy })

function platform({ node, platform, glibc, addon }: Facts): Problem[] {
  const found: Problem[] = []
  if (Number.parseInt(node, 10) < oldestNode)
    found.push(error(`Node.js ${node} is too old`, `install Node.js ${oldestNode} or newer`))
  if (platform !== 'linux-x64') found.push(error(`callgrad does not run on ${platform}`, 'use Linux on x86-64'))
  else if (!glibc)
    found.push(
      error('the C library is not glibc (musl, as on Alpine?)', 'use a distribution with glibc, such as Debian'),
    )
  else if (addon.from === 'prebuilt package' && older(glibc, oldestGlibc))
    found.push(
      error(
        `glibc ${glibc} is older than the prebuilt addon needs (${oldestGlibc})`,
        'use Debian 12, Ubuntu 22.04, RHEL 9 or newer, or build from a checkout: npm install, then npm test',
      ),
    )
  return found
}

function addon({ addon, load }: Facts): Problem[] {
  if (load.ok) return []
  const again = addon.checkout
    ? `in ${addon.root}: npm run setup`
    : 'install callgrad again; a package without prebuilds/ was not made by npm run prebuild'
  if (!addon.file) return [error('there is no native addon', again)]
  const signal = /SIG[A-Z]+/.exec(load.reason ?? '')?.[0]
  const remedy =
    signal === 'SIGILL'
      ? `this CPU lacks an instruction of the build; try CALLGRAD_ISA=baseline, and report it with the line "flags" of /proc/cpuinfo`
      : signal
        ? `${again}; if it stays, report it with the output of: node -e "require('${addon.file}')"`
        : again
  return [error(`the addon does not load: ${load.reason}`, remedy)]
}

const widest = (features: readonly string[]): string => {
  const has = (...names: string[]) => names.every((name) => features.includes(name))
  const avx512 = has('avx2', 'fma', 'avx512f', 'avx512bw', 'avx512vl', 'avx512dq')
  if (avx512) return has('avx512_bf16') ? 'avx512bf16' : 'avx512'
  return has('avx2', 'fma') ? 'avx2' : 'baseline'
}

function instructions({ cpu, kernels, settings }: Facts): Problem[] {
  if (!kernels) return []
  const could = widest(cpu.features)
  const chosen = kernels.instructions.split(' ')[0]
  if (settings.CALLGRAD_ISA && chosen !== could)
    return [warning(`CALLGRAD_ISA holds the kernels at ${chosen}; this CPU has ${could}`, 'unset CALLGRAD_ISA')]
  if (settings.CALLGRAD_ISA && settings.CALLGRAD_ISA !== chosen)
    return [
      warning(
        `CALLGRAD_ISA=${settings.CALLGRAD_ISA} is none that this CPU has; ${chosen} is used`,
        'set it to baseline, avx2, avx512 or avx512bf16, or unset it',
      ),
    ]
  if (could === 'baseline')
    return [warning('this CPU has no AVX2: everything is many times slower', 'use a CPU of 2013 or later')]
  return []
}

function oneDnn({ cpu, oneDnn, oneDnnOpened, load, settings }: Facts): Problem[] {
  if (!load.ok) return []
  const amx = cpu.features.includes('amx_bf16')
  const wanted = amx || settings.CALLGRAD_GEMM === 'onednn'
  const why = amx ? 'bf16 products would use AMX through oneDNN' : 'CALLGRAD_GEMM=onednn asks for oneDNN'
  if (wanted && !oneDnn)
    return [
      warning(
        `${why}, and libdnnl.so.2 was not found: our own kernels stand in`,
        'install libdnnl2 (Debian, Ubuntu), or the prebuilt package, which brings it along',
      ),
    ]
  if (oneDnn && !oneDnnOpened && wanted)
    return [
      warning(
        `${oneDnn.file} is there and was not opened: our own kernels stand in`,
        `see what it lacks: ldd ${oneDnn.file}; in a checkout libdnnl-dev has to be there when the addon is built`,
      ),
    ]
  return []
}

function threads({ cpu, cpuQuota, kernels, settings }: Facts): Problem[] {
  if (!kernels) return []
  const quota = cpuQuota === null ? null : Math.max(1, Math.floor(cpuQuota))
  const found: Problem[] = []
  if (quota !== null && kernels.threads > quota)
    found.push(
      warning(
        `kernels use ${kernels.threads} threads, and this container may use ${cpuQuota} CPUs: threads wait for each other`,
        `set CALLGRAD_THREADS=${quota}`,
      ),
    )
  const setting = settings.CALLGRAD_THREADS ? 'CALLGRAD_THREADS' : 'OMP_NUM_THREADS'
  if (settings[setting] && kernels.threads < Math.min(cpu.threads, quota ?? cpu.threads) / 2)
    found.push(
      warning(
        `${setting}=${settings[setting]} leaves ${cpu.threads - kernels.threads} of ${cpu.threads} CPUs idle`,
        `unset ${setting}${setting === 'OMP_NUM_THREADS' ? ', or set CALLGRAD_THREADS, which goes before it' : ''}`,
      ),
    )
  if (kernels.threads > cpu.threads)
    found.push(
      warning(
        `kernels use ${kernels.threads} threads on ${cpu.threads} CPUs`,
        `set ${setting} to ${cpu.threads}, or unset it`,
      ),
    )
  return found
}

function room({ memory, disk }: Facts): Problem[] {
  const found: Problem[] = []
  if (Math.min(memory.available, memory.limit ?? memory.available) < 2 * GB)
    found.push(
      warning(
        `${(memory.available / GB).toFixed(1)} GB of memory are available: the quickstart needs about 1 GB, a model of 0.5B parameters 8 GB`,
        'end other programs, or train a smaller model',
      ),
    )
  if (disk.free < GB)
    found.push(
      warning(
        `${(disk.free / GB).toFixed(2)} GB of disk are free in ${disk.folder}: checkpoints may not fit`,
        'free some, or send runs elsewhere with --output',
      ),
    )
  return found
}

function gpu({ nvidia, devices, load }: Facts): Problem[] {
  if (!load.ok || (!nvidia.files && nvidia.gpus.length === 0)) return []
  const cuda = devices.filter((d) => d.name.startsWith('cuda'))
  if (cuda.some((d) => d.available)) return []
  const reason = cuda[0]?.reason
  return [
    reason
      ? error(
          `there is a GPU, and cuda is not available: ${reason}`,
          'do what the reason says; nvidia-smi shows what the driver sees',
        )
      : error(
          'there is a GPU, and this build has no cuda device',
          'install the prebuilt package, or build where nvcc is found',
        ),
  ]
}

function selfTests({ selfTests, addon }: Facts): Problem[] {
  return selfTests.flatMap((test) => {
    const remedy = addon.checkout
      ? 'run npm test, and report what fails'
      : 'report it with the output of callgrad doctor --json'
    if ('failed' in test) return [error(`the self-test of ${test.device} ${test.failed}`, remedy)]
    const wrong = test.results.filter((r) => !r.ok).map((r) => r.test)
    if (wrong.length === 0) return []
    return [error(`kernels of ${test.device} give wrong results: ${wrong.join(', ')}`, remedy)]
  })
}
