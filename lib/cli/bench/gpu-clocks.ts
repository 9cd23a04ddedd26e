import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Clocks of a GPU while it was measured, as nvidia-smi says. */
export interface GpuClocks {
  name: string
  driver: string
  /** MHz now and at most. */
  sm: number
  smMax: number
  memory: number
  watts: number
  wattsLimit: number
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
  const [sm, smMax, memory, watts, wattsLimit] = cells.slice(2).map(Number) as [number, number, number, number, number]
  return { name: cells[0]!, driver: cells[1]!, sm, smMax, memory, watts, wattsLimit }
}

/** The clocks of `cuda:N`; null where nvidia-smi is absent or says something else. */
export async function gpuClocks(device: string): Promise<GpuClocks | null> {
  try {
    const { stdout } = await promisify(execFile)(
      'nvidia-smi',
      [`--id=${device.slice('cuda:'.length)}`, `--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'],
      { timeout: 10_000 },
    )
    return parseClocks(stdout.trim().split('\n')[0] ?? '')
  } catch {
    return null
  }
}
