import { describe, fail } from '../errors.js'
import { type DeviceInfo, type MemoryInfo, native } from './native.js'

export type { DeviceInfo }

/** A device: memory and an in-order stream on which ops are queued. Get one from {@link device}. */
export class Device {
  /** @internal */
  constructor(
    readonly name: string,
    readonly index: number,
    readonly description: string,
    /** Whether bf16 arithmetic is faster than fp32 here. */
    readonly bf16: boolean,
    /** Whether replaying recorded ops is cheaper than queueing them one by one. */
    readonly replays: boolean,
    /** Whether linear layers want their weights through `packWeight`; plain rows are as good where not. */
    readonly packedWeights: boolean,
  ) {}

  /** Resolves when everything queued so far has run; rejects with the first error since the last await. */
  synchronize(): Promise<void> {
    return native.sync(this.index)
  }

  /**
   * Microseconds that what `queue` queues takes on the device: between two events of a GPU, by the clock of the stream's worker elsewhere
   * (on `simt` that is the emulation's time). For one measurement at a time. Rejects as {@link Device.synchronize} does.
   */
  async time(queue: () => void): Promise<number> {
    native.startTimer(this.index)
    queue()
    const [microseconds] = await native.stopTimer(this.index)
    return microseconds!
  }

  /** Memory figures in bytes. */
  memory(): MemoryInfo {
    return native.memory(this.index)
  }

  /** Starts a new measurement of {@link MemoryInfo.peak}. */
  resetPeakMemory(): void {
    native.resetPeak(this.index)
  }

  /** Allocations that would hold more than `bytes` from the system fail with `ERR_MEMORY`. */
  setMemoryLimit(bytes: number): void {
    native.setMemoryLimit(this.index, bytes)
  }

  /** Gives free memory back to the system; waits for the stream. Returns the bytes released. */
  trim(): number {
    return native.trim(this.index)
  }
}

const opened = new Map<string, Device>()
let fastest: Device | null = null

/** Every device that this build knows, whether it can be used here, and why not. */
export function devices(): DeviceInfo[] {
  return native.devices()
}

/**
 * Opens a device: `'cpu'`, `'cuda:0'`, `'simt'`, or `'auto'` for the fastest one available.
 *
 * @throws `ERR_DEVICE` with the reason when it is not available.
 */
export function device(name: string | Device = 'auto'): Device {
  if (name instanceof Device) return name
  if (name === 'auto') return (fastest ??= open(pickFastest()))
  const known = opened.get(name)
  if (known) return known
  const wanted = typeof name === 'string' ? native.devices(name).find((d) => d.name === name) : undefined
  if (!wanted) {
    const all = devices().map((d) => `"${d.name}"`)
    fail('Error', 'ERR_DEVICE', `[device] expected "auto" or one of ${all.join(', ')}, got ${describe(name)}`)
  }
  return open(wanted)
}

/** The first GPU; without one the first device. `simt` is never chosen: it is slower than the cpu. */
function pickFastest(): DeviceInfo {
  const list = devices()
  return list.find((d) => d.available && d.name.startsWith('cuda')) ?? list.find((d) => d.available)!
}

function open(info: DeviceInfo): Device {
  const { name, available, reason, description, bf16, replays, packedWeights } = info
  const known = opened.get(name)
  if (known) return known
  if (!available) {
    fail('Error', 'ERR_DEVICE', `[device] ${name} is not available: ${reason ?? 'no reason given'}`)
  }
  const device = new Device(name, native.openDevice(name), description, bf16, replays, packedWeights)
  opened.set(name, device)
  return device
}

/** Threads that CPU kernels use (CALLGRAD_THREADS, OMP_NUM_THREADS, else the CPUs at hand). */
export function threadCount(): number {
  return native.threads()
}
