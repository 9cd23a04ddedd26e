// `callgrad doctor`: what this machine offers, and what is missing.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import type { Command } from 'commander'
import { bytes } from './ui/format.js'
import { green, red, yellow } from './ui/style.js'
import { pairs, table } from './ui/table.js'

interface Diagnosis {
  node: string
  platform: string
  cpu: { model: string; threads: number; features: string[] }
  memory: { total: number; available: number }
  disk: { free: number }
  /** The library's file, where the loader finds it; `gemm` says what multiplies matrices. */
  oneDnn: string | null
  gemm: string | null
  addon: { loaded: boolean; reason?: string }
  devices: { name: string; available: boolean; description: string; reason?: string | undefined }[]
}

/** Instruction sets that the CPU kernels can use, as Linux names them. */
const usefulFeatures = ['avx2', 'fma', 'avx512f', 'avx512bw', 'avx512_bf16', 'amx_tile', 'amx_bf16']

function cpuFeatures(): string[] {
  if (!existsSync('/proc/cpuinfo')) return []
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/))
  return usefulFeatures.filter((feature) => flags.has(feature))
}

/** Memory that a process could still get: Linux says so better than Node does. */
function availableMemory(): number {
  if (!existsSync('/proc/meminfo')) return freemem()
  const line = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))
  return line ? Number(line[1]) * 1024 : freemem()
}

/** Path of a shared library that the dynamic loader knows, or null. */
function findLibrary(name: string): string | null {
  for (const ldconfig of ['ldconfig', '/sbin/ldconfig']) {
    const { status, stdout } = spawnSync(ldconfig, ['-p'], { encoding: 'utf8' })
    const line = status === 0 && stdout.split('\n').find((text) => text.trim().startsWith(name))
    if (line) return line.split(' => ')[1] ?? null
  }
  return null
}

async function diagnose(): Promise<Diagnosis> {
  const disk = await statfs('.')
  const result: Diagnosis = {
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    cpu: { model: cpus()[0]?.model.trim() ?? 'unknown', threads: availableParallelism(), features: cpuFeatures() },
    memory: { total: totalmem(), available: availableMemory() },
    disk: { free: disk.bavail * disk.bsize },
    oneDnn: findLibrary('libdnnl.so'),
    gemm: null,
    addon: { loaded: false },
    devices: [],
  }
  try {
    const { devices } = await import('../tensor/device.js')
    result.devices = devices()
    result.addon = { loaded: true }
    result.gemm = /GEMM by (.*)$/.exec(result.devices.find((d) => d.name === 'cpu')?.description ?? '')?.[1] ?? null
  } catch (error) {
    result.addon = { loaded: false, reason: (error as Error).message }
  }
  return result
}

function show(d: Diagnosis): string {
  const has = (feature: string) => d.cpu.features.includes(feature)
  const bf16 = has('amx_bf16') ? 'AMX' : has('avx512_bf16') ? 'AVX512-BF16' : null
  const device = (x: Diagnosis['devices'][number]) => [
    x.name,
    x.available ? green('available') : yellow('not available'),
    x.available ? x.description : (x.reason ?? ''),
  ]
  return [
    pairs([
      ['Node.js', `${d.node} on ${d.platform}`],
      ['CPU', `${d.cpu.model}, ${d.cpu.threads} threads`],
      ['instructions', d.cpu.features.join(' ') || 'none beyond the baseline'],
      ['bf16', bf16 ? `fast, by ${bf16}` : 'not fast on this CPU: training runs in fp32'],
      ['memory', `${bytes(d.memory.available)} available of ${bytes(d.memory.total)}`],
      ['disk', `${bytes(d.disk.free)} free here`],
      ['addon', d.addon.loaded ? green('loads') : `${red('does not load')}: ${d.addon.reason}`],
      ['oneDNN', d.oneDnn ?? 'not found'],
      ['matrices', `multiplied by ${d.gemm ?? 'nothing'}`],
    ]),
    d.devices.length > 0 ? `\n${table(['device', 'state', ''], d.devices.map(device))}` : '',
  ].join('\n')
}

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show what this machine offers: CPU features, oneDNN, devices, memory, disk')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  $ callgrad doctor\n  $ callgrad doctor --json')
    .action(async (options: { json?: boolean }) => {
      const diagnosis = await diagnose()
      console.log(options.json ? JSON.stringify(diagnosis) : show(diagnosis))
      if (!diagnosis.addon.loaded) process.exitCode = 1
    })
}
