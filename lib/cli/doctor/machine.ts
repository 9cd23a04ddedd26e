// What the machine offers, found without loading anything native.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { type AddonFile, findAddon, packageRoot } from '../../tensor/addon-file.js'

export interface Gpu {
  name: string
  driver: string
  computeCapability: string
  memory: number
}

export interface Machine {
  node: string
  platform: string
  /** Version of the C library; null where it is another one than glibc. */
  glibc: string | null
  cpu: { model: string; threads: number; features: string[] }
  /** Threads' worth of CPU time that a container may use; null where nothing limits it. */
  cpuQuota: number | null
  memory: { total: number; available: number; limit: number | null }
  disk: { folder: string; free: number }
  /** `files`: a GPU is in the machine, whatever its driver says; `driver` as the kernel module or nvidia-smi tells. */
  nvidia: { files: boolean; driver: string | null; gpus: Gpu[] }
  addon: AddonFile & { root: string; checkout: boolean }
  oneDnn: { file: string; from: 'package' | 'system' } | null
  settings: Record<string, string>
}

/** Instruction sets that the CPU kernels and oneDNN can use, as Linux names them. */
const usefulFeatures = [
  ...['avx2', 'fma', 'avx512f', 'avx512bw', 'avx512vl', 'avx512dq', 'avx512_bf16', 'amx_tile', 'amx_bf16'],
]

/** Variables that change what the addon does. */
const settings = [
  ...[
    'CALLGRAD_ADDON',
    'CALLGRAD_ISA',
    'CALLGRAD_GEMM',
    'CALLGRAD_THREADS',
    'OMP_NUM_THREADS',
    'CALLGRAD_SIMT',
    'CALLGRAD_PREBUILD',
  ],
  ...['PREBUILDS_ONLY', 'CUDA_VISIBLE_DEVICES'],
]

const read = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

function cpuFeatures(): string[] {
  const flags = new Set(
    /^flags\s*:(.*)$/m
      .exec(read('/proc/cpuinfo') ?? '')?.[1]
      ?.trim()
      .split(/\s+/),
  )
  return usefulFeatures.filter((feature) => flags.has(feature))
}

/** Memory that a process could still get: Linux says so better than Node does. */
function availableMemory(): number {
  const line = /^MemAvailable:\s+(\d+) kB/m.exec(read('/proc/meminfo') ?? '')
  return line ? Number(line[1]) * 1024 : freemem()
}

function memoryLimit(): number | null {
  const text = read('/sys/fs/cgroup/memory.max')?.trim()
  return text && /^\d+$/.test(text) ? Number(text) : null
}

/** "150000 100000" → 1.5 */
function cpuQuota(): number | null {
  const [quota, period] = read('/sys/fs/cgroup/cpu.max')?.trim().split(' ') ?? []
  return quota && period && quota !== 'max' ? Number(quota) / Number(period) : null
}

/** Path of a shared library that the dynamic loader knows, or null. */
function findLibrary(name: string): string | null {
  for (const ldconfig of ['ldconfig', '/sbin/ldconfig']) {
    const { status, stdout } = spawnSync(ldconfig, ['-p'], { encoding: 'utf8' })
    const line = status === 0 && stdout.split('\n').find((text) => text.trim().startsWith(`${name} `))
    if (line) return line.split(' => ')[1] ?? null
  }
  return null
}

function nvidia(): Machine['nvidia'] {
  const query = '--query-gpu=name,driver_version,compute_cap,memory.total'
  const smi = spawnSync('nvidia-smi', [query, '--format=csv,noheader,nounits'], { encoding: 'utf8', timeout: 10_000 })
  const rows = smi.status === 0 ? smi.stdout.trim().split('\n').filter(Boolean) : []
  const gpus = rows.map((row) => {
    const [name = '', driver = '', computeCapability = '', mebibytes = '0'] = row.split(',').map((x) => x.trim())
    return { name, driver, computeCapability, memory: Number(mebibytes) * 2 ** 20 }
  })
  const loaded = /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(read('/proc/driver/nvidia/version') ?? '')?.[1] ?? null
  const files = existsSync('/dev') && readdirSync('/dev').some((name) => /^nvidia\d+$/.test(name))
  return { files, driver: gpus[0]?.driver ?? loaded, gpus }
}

function addon(glibc: string | null): Machine['addon'] {
  const checkout = existsSync(join(packageRoot, 'CMakeLists.txt'))
  return { ...findAddon(glibc ? 'glibc' : 'musl'), root: packageRoot, checkout }
}

export async function examineMachine(): Promise<Machine> {
  const header = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined)?.header
  const glibc = header?.glibcVersionRuntime ?? null
  const disk = await statfs('.')
  const found = addon(glibc)
  const beside = found.file && join(dirname(found.file), 'libdnnl.so.2')
  const system = findLibrary('libdnnl.so.2')
  return {
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    glibc,
    cpu: { model: cpus()[0]?.model.trim() ?? 'unknown', threads: availableParallelism(), features: cpuFeatures() },
    cpuQuota: cpuQuota(),
    memory: { total: totalmem(), available: availableMemory(), limit: memoryLimit() },
    disk: { folder: process.cwd(), free: disk.bavail * disk.bsize },
    nvidia: nvidia(),
    addon: found,
    oneDnn:
      beside && existsSync(beside)
        ? { file: beside, from: 'package' }
        : system
          ? { file: system, from: 'system' }
          : null,
    settings: Object.fromEntries(settings.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
  }
}
