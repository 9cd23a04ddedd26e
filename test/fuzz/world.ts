import { writeSync } from 'node:fs'
import { type Device, device } from '../../lib/tensor/device.js'
import type { Tensor } from '../../lib/tensor/tensor.js'
import { Random } from './random.js'

/** Codes that a caller may meet; `ERR_INTERNAL` says that something was not foreseen. */
const known = ['ERR_TYPE', 'ERR_DTYPE', 'ERR_SHAPE', 'ERR_RANGE', 'ERR_DISPOSED', 'ERR_MEMORY', 'ERR_DEVICE'] as const
export type Code = (typeof known)[number]

/** A call did something that it must not do. */
export class Finding extends Error {}

export interface Tally {
  calls: number
  /** Calls that had to succeed and did, with the bits that they gave in a fresh process. */
  valid: number
  /** Calls that had to fail and did, with a code that fits. */
  refused: number
  /** Calls of which only this was asked: a result or a coded error. */
  anything: number
  /** Errors by code. */
  codes: Record<string, number>
}

export const emptyTally = (): Tally => ({ calls: 0, valid: 0, refused: 0, anything: 0, codes: {} })

export interface WorldOptions {
  seed: number
  device: string
  /** Writes each action to standard error before it runs, so that the last line is the one that crashed. */
  trace?: boolean
}

/** What one sequence of random calls works on: a device, live and dead tensors, and the count. */
export class World {
  readonly random: Random
  readonly device: Device
  readonly tally = emptyTally()
  readonly #pool: Tensor[] = []
  readonly #trace: boolean

  constructor({ seed, device: name, trace = false }: WorldOptions) {
    this.random = new Random(seed)
    this.device = device(name)
    this.#trace = trace
  }

  trace(text: string): void {
    if (this.#trace) writeSync(2, `${this.tally.calls} ${text}\n`)
  }

  /** A tensor that some earlier call left, live or not. */
  any(): Tensor | undefined {
    return this.#pool.length > 0 ? this.random.pick(this.#pool) : undefined
  }

  live(): Tensor | undefined {
    const alive = this.#pool.filter((t) => !t.disposed)
    return alive.length > 0 ? this.random.pick(alive) : undefined
  }

  /** Keeps a tensor for later calls; a hundred of them at most. */
  remember(t: Tensor): void {
    if (this.#pool.length >= 100) this.#pool.splice(this.random.below(100), 1)[0]!.dispose()
    this.#pool.push(t)
  }

  /** Runs a call of which anything may come, but nothing without a code. */
  async attempt(what: string, call: () => unknown): Promise<unknown> {
    this.tally.calls++
    this.tally.anything++
    try {
      return await call()
    } catch (error) {
      this.count(what, error)
      return undefined
    }
  }

  /** Runs a call that must fail with one of `codes`. */
  async refuse(what: string, codes: readonly Code[], call: () => unknown): Promise<void> {
    this.tally.calls++
    this.trace(`${what} must fail`)
    try {
      await call()
    } catch (error) {
      this.count(what, error)
      const { code } = error as { code: Code }
      if (!codes.includes(code))
        throw new Finding(`${what}: expected ${codes.join(' or ')}, got ${code}`, { cause: error })
      this.tally.refused++
      return
    }
    throw new Finding(`${what}: expected ${codes.join(' or ')}, and the call succeeded`)
  }

  /** Runs a call that must succeed. */
  async succeed<T>(what: string, call: () => T): Promise<Awaited<T>> {
    this.tally.calls++
    this.trace(what)
    try {
      const result = await call()
      this.tally.valid++
      return result
    } catch (error) {
      if (error instanceof Finding) throw error
      throw new Finding(`${what}: expected a result, got ${String(error)}`, { cause: error })
    }
  }

  /** Counts an error by its code; one without a known code is a finding. */
  count(what: string, error: unknown): void {
    const code = (error as { code?: unknown } | null)?.code
    if (!(error instanceof Error) || !known.includes(code as Code))
      throw new Finding(`${what}: expected an error with a known code, got ${String(error)} (code ${String(code)})`, {
        cause: error,
      })
    if (!/^\[\w[\w.]*\] \S/.test(error.message))
      throw new Finding(`${what}: expected a message that begins with [where], got "${error.message}"`)
    this.tally.codes[code as Code] = (this.tally.codes[code as Code] ?? 0) + 1
  }

  /** Waits for what is queued. A value that only a kernel can check is reported here. */
  async settle(): Promise<void> {
    try {
      await this.device.synchronize()
    } catch (error) {
      this.count('a queued call', error)
    }
  }

  dispose(): void {
    for (const t of this.#pool) t.dispose()
    this.#pool.length = 0
  }
}
