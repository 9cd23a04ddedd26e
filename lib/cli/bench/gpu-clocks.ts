import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Device, devices } from '../../tensor/device.js'
import type { Sampler } from './op-timing.js'

/** Clocks of a GPU at work, as nvidia-smi says; null for what it does not say. */
export interface GpuClocks {
  name: string
  driver: string
  /** MHz now and at most. */
  sm: number | null
  smMax: number | null
  memory: number | null
  watts: number | null
  wattsLimit: number | null
}

const fields = [
  'name',
  'driver_version',
  'clocks.sm',
  'clocks.max.sm',
  'clocks.mem',
  'power.draw',
  'power.limit',
] as const

/** One line of `nvidia-smi --format=csv,noheader,nounits`; null where it is none. */
export function parseClocks(line: string): GpuClocks | null {
  const cells = line.split(',').map((cell) => cell.trim())
  if (cells.length !== fields.length) return null
  const number = (i: number) => (/^\d+(\.\d+)?$/.test(cells[i]!) ? Number(cells[i]) : null)
  return {
    name: cells[0]!,
    driver: cells[1]!,
    sm: number(2),
    smMax: number(3),
    memory: number(4),
    watts: number(5),
    wattsLimit: number(6),
  }
}

async function askNvidiaSmi(gpu: string): Promise<GpuClocks | null> {
  try {
    const { stdout } = await promisify(execFile)(
      'nvidia-smi',
      [`--id=${gpu}`, `--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'],
      { timeout: 10_000 },
    )
    return parseClocks(stdout.trim().split('\n')[0] ?? '')
  } catch {
    return null
  }
}

/** The clocks of a CUDA device while it runs `load`, over and over; null where nvidia-smi is absent or says something else. */
export async function gpuClocks(device: Device, load: Sampler): Promise<GpuClocks | null> {
  const gpu = devices().find(({ name }) => name === device.name)?.pciBusId
  if (!gpu) return null
  let answered = false
  const asked = askNvidiaSmi(gpu).finally(() => {
    answered = true
  })
  while (!answered) await load.sample()
  return await asked
}
