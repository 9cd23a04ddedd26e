import type { DecodeBatch, PrefillPiece, StepModel, StepResult } from '../../../lib/nn/step-model.js'

/** The next token after `context` for one sample's random numbers: any function that looks at all of it will do. */
export function nextToken(context: readonly number[], promptId: number, sample: number, drawn: number, vocab: number) {
  let hash = 0x811c9dc5
  const mix = (n: number) => {
    hash = Math.imul(hash ^ n, 0x01000193) >>> 0
    hash = (hash ^ (hash >>> 15)) >>> 0
  }
  for (const token of context) mix(token + 1)
  mix(promptId)
  mix(sample)
  mix(drawn)
  return { token: hash % vocab, logprob: -((hash >>> 8) % 4096) / 256 }
}

/** Draws one completion directly, without pages, batches or queues. */
export function drawAlone(
  prompt: readonly number[],
  promptId: number,
  sample: number,
  options: { maxTokens: number; stop: readonly number[]; vocab: number },
) {
  const tokens: number[] = []
  const logprobs: number[] = []
  while (tokens.length < options.maxTokens) {
    const drawn = nextToken([...prompt, ...tokens], promptId, sample, tokens.length, options.vocab)
    tokens.push(drawn.token)
    logprobs.push(drawn.logprob)
    if (options.stop.includes(drawn.token)) return { tokens, logprobs, finishReason: 'stop' as const }
  }
  return { tokens, logprobs, finishReason: 'length' as const }
}

/**
 * A device that runs later and in order, and a model whose only memory of a sequence is the pages: a wrong page, slot, length
 * or row changes the tokens. Counts what it was asked to do.
 */
export class FakeModel implements StepModel {
  readonly steps: number[] = []
  readonly prefillTokens: number[] = []
  queued = 0
  mostQueued = 0
  disposed = false
  /** Makes the step of this number fail. */
  failAt = -1
  /** Makes the prefill of this number fail; as on a device, later work runs nevertheless. */
  failPrefillAt = -1
  /** Makes the step of this number yield NaN. */
  nanAt = -1
  readonly #memory: Int32Array
  #tail: Promise<unknown> = Promise.resolve()
  #batch: DecodeBatch | null = null
  #drawn: Int32Array = new Int32Array(0)

  constructor(
    pages: number,
    readonly pageSize: number,
    private readonly vocab: number,
    private readonly delay: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#memory = new Int32Array(pages * pageSize).fill(-7)
  }

  #enqueue<T>(work: () => T): Promise<T> {
    this.mostQueued = Math.max(this.mostQueued, ++this.queued)
    const run = async () => {
      await this.delay()
      try {
        return work()
      } finally {
        this.queued--
      }
    }
    const done = this.#tail.then(run, run)
    this.#tail = done.catch(() => {})
    return done
  }

  #slot(pages: ArrayLike<number>, first: number, i: number): number {
    const page = pages[first + Math.floor(i / this.pageSize)]!
    if (!(page >= 0)) throw new Error(`no page for slot ${i}`)
    return page * this.pageSize + (i % this.pageSize)
  }

  prefill(pieces: readonly PrefillPiece[]): Promise<void> {
    const copy = pieces.map((p) => ({ ...p, tokens: [...p.tokens], pages: [...p.pages] }))
    const number = this.prefillTokens.length
    this.prefillTokens.push(copy.reduce((n, p) => n + p.tokens.length, 0))
    return this.#enqueue(() => {
      if (number === this.failPrefillAt) throw new Error('the prefill failed')
      for (const { tokens, start, pages } of copy) {
        for (const [i, token] of tokens.entries()) this.#memory[this.#slot(pages, 0, start + i)] = token
      }
    })
  }

  compose(batch: DecodeBatch): void {
    const copy = structuredClone(batch)
    this.#enqueue(() => {
      const drawn = this.#drawn
      copy.tokens.forEach((_, i) => {
        if (copy.carry[i]! >= drawn.length) throw new Error(`carry from row ${copy.carry[i]} of ${drawn.length}`)
        if (copy.carry[i]! >= 0) copy.tokens[i] = drawn[copy.carry[i]!]!
      })
      this.#batch = copy
      this.#drawn = copy.tokens
    })
  }

  growPages(ownPages: Int32Array): void {
    const copy = ownPages.slice()
    this.#enqueue(() => {
      this.#batch!.ownPages = copy
    })
  }

  step(): Promise<StepResult> {
    const number = this.steps.length
    this.steps.push(0)
    return this.#enqueue(() => {
      if (number === this.failAt) throw new Error('the device failed')
      const b = this.#batch!
      const rows = b.tokens.length
      this.steps[number] = rows
      const tokens = new Int32Array(rows)
      const logprobs = new Float32Array(rows)
      for (let row = 0; row < rows; row++) {
        const group = b.groupRows.findIndex((end, i) => i > 0 && row < end) - 1
        const own = b.ownLengths[row]!
        if (b.positions[row] !== b.prefixLengths[group]! + own) throw new Error('position is not prefix + own')
        this.#memory[this.#slot(b.ownPages, row * b.ownWidth, own)] = this.#drawn[row]!
        const context: number[] = []
        for (let i = 0; i < b.prefixLengths[group]!; i++) {
          context.push(this.#memory[this.#slot(b.prefixPages, group * b.prefixWidth, i)]!)
        }
        for (let i = 0; i <= own; i++) context.push(this.#memory[this.#slot(b.ownPages, row * b.ownWidth, i)]!)
        const next = nextToken(context, b.promptIds[row]!, b.samples[row]!, b.drawn[row]!, this.vocab)
        tokens[row] = next.token
        logprobs[row] = number === this.nanAt ? Number.NaN : next.logprob
      }
      for (let row = 0; row < rows; row++) {
        b.positions[row]!++
        b.ownLengths[row]!++
        b.drawn[row]!++
      }
      this.#drawn = tokens
      return { tokens: tokens.slice(), logprobs }
    })
  }

  dispose(): void {
    this.disposed = true
  }
}
