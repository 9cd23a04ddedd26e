import type { Device } from '../../tensor/device.js'
import { fill } from '../../tensor/ops.generated.js'
import { empty, type Tensor } from '../../tensor/tensor.js'
import { disposeAll, type OpCall, run } from './op-call.js'

// Time of calls on a device whose rates drift: what is compared with each other is measured in turns.

export interface Quantiles {
  median: number
  p20: number
  p80: number
}

/** Microseconds. */
export interface OpTiming extends Quantiles {
  /** (p80 - p20) / median of the hot samples. */
  noise: number
  samples: number
  /** One call after caches were overwritten; on the host's clock the wait is included. */
  cold: Quantiles
  /** How long the call itself keeps JavaScript busy. */
  host: number
}

export function quantiles(samples: readonly number[]): Quantiles {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!
  return { median: at(0.5), p20: at(0.2), p80: at(0.8) }
}

/** Whether times are a GPU's own, between events in its stream; else they are the host's, from the first call to the end of a wait. */
export const timedByEvents = (device: Device): boolean => device.name.startsWith('cuda')

/** A call whose outputs are written again and again, in samples of some 4 ms. */
export class Sampler {
  readonly #out: Record<string, Tensor>
  #repeats = 1

  private constructor(
    private readonly call: OpCall,
    private readonly device: Device,
  ) {
    this.#out = run(call)
  }

  static async of(call: OpCall, device: Device): Promise<Sampler> {
    const sampler = new Sampler(call, device)
    await device.synchronize()
    const { time } = await sampler.sample()
    sampler.#repeats = Math.max(1, Math.min(500, Math.round(4000 / Math.max(time, 20))))
    return sampler
  }

  /** Microseconds of a call, and those that it kept JavaScript busy. */
  async sample(repeats = this.#repeats): Promise<{ time: number; host: number }> {
    const start = performance.now()
    let queued = start
    const queue = () => {
      for (let i = 0; i < repeats; i++) run(this.call, this.#out)
      queued = performance.now()
    }
    const time = await (timedByEvents(this.device) ? this.device.time(queue) : this.#onHost(queue))
    return { time: time / repeats, host: ((queued - start) * 1000) / repeats }
  }

  async #onHost(queue: () => void): Promise<number> {
    const start = performance.now()
    queue()
    await this.device.synchronize()
    return (performance.now() - start) * 1000
  }

  dispose(): void {
    disposeAll(this.#out)
  }
}

/** Overwrites the caches: more bytes than any cache of a CPU or GPU of today holds. */
export class CacheFlush {
  readonly #buffer: Tensor

  constructor(private readonly device: Device) {
    this.#buffer = empty([64 * 2 ** 20], { device, dtype: 'f32' })
  }

  async run(): Promise<void> {
    fill(this.#buffer, { value: 0 })
    await this.device.synchronize()
  }

  dispose(): void {
    this.#buffer.dispose()
  }
}

/**
 * Times `call` for about `seconds`. `beside` (a roof's sampler) is sampled in turns with it; each turn is one hot sample of both and, for
 * every fourth, a cold call. Returns the timing and the times of `beside`, in the same order.
 */
export async function timeCall(
  call: OpCall,
  device: Device,
  flush: CacheFlush,
  seconds: number,
  beside: readonly Sampler[],
): Promise<{ timing: OpTiming; beside: number[][]; hot: number[] }> {
  const sampler = await Sampler.of(call, device)
  const [hot, host, cold]: [number[], number[], number[]] = [[], [], []]
  const others: number[][] = beside.map(() => [])
  const end = performance.now() + seconds * 1000
  for (let turn = 0; turn < 5 || (performance.now() < end && turn < 200); turn++) {
    const sample = await sampler.sample()
    hot.push(sample.time)
    host.push(sample.host)
    for (const [i, other] of beside.entries()) others[i]!.push((await other.sample(1)).time)
    if (turn % 4 !== 0) continue
    await flush.run()
    cold.push((await sampler.sample(1)).time)
  }
  sampler.dispose()
  const q = quantiles(hot)
  const noise = (q.p80 - q.p20) / q.median
  const timing = { ...q, noise, samples: hot.length, cold: quantiles(cold), host: quantiles(host).median }
  return { timing, beside: others, hot }
}
