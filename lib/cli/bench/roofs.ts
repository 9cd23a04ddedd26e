import { Maker } from '../../conformance/bench.js'
import { opNamed } from '../../conformance/harness.js'
import type { Device } from '../../tensor/device.js'
import { disposeAll, type OpCall } from './op-call.js'
import { quantiles, Sampler } from './op-timing.js'

/** What this machine reaches, measured in the same run. */
export interface Roofs {
  /** GB/s of the copy op on 64 MB, bytes read plus bytes written. */
  copy: number
  /** GFLOP/s of a 1024 x 1024 x 1024 product. */
  f32: number
  bf16: number
}

const copied = 16 * 2 ** 20
const edge = 1024

const copyCall = (m: Maker): OpCall => ({
  op: opNamed('copy'),
  inputs: { x: m.normal([copied]), into: m.normal([copied]) },
  attrs: {},
})
const productCall = (m: Maker): OpCall => ({
  op: opNamed('matmul'),
  inputs: { a: m.normal([edge, edge]), b: m.normal([edge, edge]) },
  attrs: {},
})

/** The calls that a machine's roofs are read from, to be sampled in turns with ops. */
export class RoofSamplers {
  private constructor(
    private readonly calls: readonly OpCall[],
    readonly copy: Sampler,
    readonly f32: Sampler,
    readonly bf16: Sampler,
  ) {}

  static async open(device: Device): Promise<RoofSamplers> {
    const [f32, bf16] = [new Maker(device, 'f32'), new Maker(device, 'bf16')]
    const calls = [copyCall(f32), productCall(f32), productCall(bf16)] as const
    return new RoofSamplers(
      calls,
      await Sampler.of(calls[0], device),
      await Sampler.of(calls[1], device),
      await Sampler.of(calls[2], device),
    )
  }

  async measure(turns = 9): Promise<Roofs> {
    const times: [number[], number[], number[]] = [[], [], []]
    for (let i = 0; i < turns; i++)
      for (const [k, sampler] of [this.copy, this.f32, this.bf16].entries())
        times[k]!.push((await sampler.sample()).time)
    return this.rates(times.map((list) => quantiles(list).median) as [number, number, number])
  }

  /** Rates from microseconds of the three calls. */
  rates([copy, f32, bf16]: readonly [number, number, number]): Roofs {
    const product = 2 * edge ** 3
    return { copy: (2 * 4 * copied) / copy / 1000, f32: product / f32 / 1000, bf16: product / bf16 / 1000 }
  }

  dispose(): void {
    for (const sampler of [this.copy, this.f32, this.bf16]) sampler.dispose()
    for (const call of this.calls) disposeAll(call.inputs)
  }
}
