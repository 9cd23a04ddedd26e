// The process that runs an op for `callgrad bench op --kernel`: one for ours, one for the kernel under test, which may crash it. Started by
// own-process.ts; a message asks, a message answers.

import { emulatedShapes, smollm2Shapes } from '../../conformance/bench.js'
import type { OpRow } from '../../conformance/row.js'
import { conformanceRows } from '../../conformance/rows.js'
import { kernelChecks } from '../../conformance/suite.js'
import { type Device, device as openDevice } from '../../tensor/device.js'
import { costOf, disposeAll, prepare } from './op-call.js'
import { countCall, type OpCounters } from './op-counters.js'
import { CacheFlush, Sampler } from './op-timing.js'

export type Float = 'f32' | 'bf16'

export type Request =
  | { kind: 'checks' }
  | { kind: 'check'; name: string }
  | { kind: 'count'; dtype: Float }
  /** Opens a call to be sampled. */
  | { kind: 'open'; dtype: Float }
  | { kind: 'sample' }

/** Microseconds of one sample. */
export interface SamplePair {
  hot: number
  cold: number
}

export type Reply =
  | { ok: string[] | OpCounters | SamplePair | number | null }
  /** What went wrong, in words. */
  | { error: string }

class Worker {
  #sampler: Sampler | null = null
  #flush: CacheFlush | null = null

  constructor(
    private readonly row: OpRow,
    private readonly device: Device,
  ) {}

  get #shapes() {
    return this.device.name === 'simt' ? emulatedShapes : smollm2Shapes
  }

  async #count(dtype: Float): Promise<OpCounters> {
    const call = prepare(this.row, this.#shapes, this.device, dtype)
    try {
      const tiles = dtype === 'bf16' ? this.row.bench.tiles?.(this.#shapes) : undefined
      return await countCall(call, this.device, { ...costOf(call, this.device), tiles })
    } finally {
      disposeAll(call.inputs)
    }
  }

  /** Returns the least bytes of the call. */
  async #open(dtype: Float): Promise<number> {
    this.#sampler?.dispose()
    this.#flush ??= new CacheFlush(this.device)
    const call = prepare(this.row, this.#shapes, this.device, dtype)
    this.#sampler = await Sampler.of(call, this.device)
    return costOf(call, this.device).bytes
  }

  async #sample(): Promise<SamplePair> {
    const { time: hot } = await this.#sampler!.sample()
    await this.#flush!.run()
    return { hot, cold: (await this.#sampler!.sample(1)).time }
  }

  async answer(request: Request): Promise<Reply> {
    const { row, device } = this
    try {
      if (request.kind === 'checks') return { ok: kernelChecks(row).map(({ name }) => name) }
      if (request.kind === 'count') return { ok: await this.#count(request.dtype) }
      if (request.kind === 'open') return { ok: await this.#open(request.dtype) }
      if (request.kind === 'sample') return { ok: await this.#sample() }
      await kernelChecks(row)
        .find(({ name }) => name === request.name)!
        .run(device.name)
      return { ok: null }
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) }
    }
  }
}

async function main(): Promise<void> {
  const [op, name] = process.argv.slice(2) as [string, string]
  const row = (await conformanceRows()).get(op)!
  const worker = new Worker(row, openDevice(name))
  process.on('message', (request: Request) => {
    void worker.answer(request).then((reply) => process.send?.(reply))
  })
  process.send?.({ ok: null } satisfies Reply)
}

await main().catch((error: unknown) => {
  process.send?.({ error: error instanceof Error ? error.message : String(error) } satisfies Reply)
  process.disconnect?.()
})
