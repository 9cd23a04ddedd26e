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
  private readonly out: Record<string, Tensor>
  #repeats = 1

  private constructor(
    private readonly call: OpCall,
    private readonly device: Device,
    private readonly queueCall: typeof run,
    out?: Record<string, Tensor>,
  ) {
    this.out = queueCall(call, out)
  }

  /** `queueCall` queues the call, where its kernel does not; `beside` is the sampler of the same call whose outputs it writes, too. */
  static async of(call: OpCall, device: Device, queueCall = run, beside?: Sampler): Promise<Sampler> {
    const sampler = new Sampler(call, device, queueCall, beside?.out)
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
      for (let i = 0; i < repeats; i++) this.queueCall(this.call, this.out)
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
    disposeAll(this.out)
  }
}

/** Overwrites the caches: more bytes than any cache of a CPU or GPU of today holds. */
export class CacheFlush {
  readonly #buffer: Tensor

  constructor(
    private readonly device: Device,
    bytes = 256 * 2 ** 20,
  ) {
    this.#buffer = empty([bytes / 4], { device, dtype: 'f32' })
  }

  /** Events leave out what came before them, and a GPU that is still at it when the call behind is queued does not wait for it. */
  async run(): Promise<void> {
    fill(this.#buffer, { value: 0 })
    if (!timedByEvents(this.device)) await this.device.synchronize()
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
    for (const [i, other] of beside.entries()) others[i]!.push((await other.sample()).time)
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

/** Times of two ways to run one call, in turns that begin with either. */
export interface PairTiming {
  hot: readonly [Quantiles, Quantiles]
  cold: readonly [Quantiles, Quantiles]
  /** The median over turns of the first's time over the second's. */
  ratio: number
  coldRatio: number
}

export async function timePair(
  pair: readonly [Sampler, Sampler],
  flush: CacheFlush,
  seconds: number,
): Promise<PairTiming> {
  const [hot, cold]: [number[][], number[][]] = [
    [[], []],
    [[], []],
  ]
  const end = performance.now() + seconds * 1000
  for (let turn = 0; turn < 6 || (performance.now() < end && turn < 200); turn++) {
    const order = turn % 2 === 0 ? [0, 1] : [1, 0]
    for (const i of order) hot[i]!.push((await pair[i]!.sample()).time)
    if (turn % 3 !== 0) continue
    for (const i of order) {
      await flush.run()
      cold[i]!.push((await pair[i]!.sample(1)).time)
    }
  }
  const ratio = ([a, b]: number[][]) => quantiles(a!.map((time, i) => time / b![i]!)).median
  const both = ([a, b]: number[][]) => [quantiles(a!), quantiles(b!)] as const
  return { hot: both(hot), cold: both(cold), ratio: ratio(hot), coldRatio: ratio(cold) }
}
