import { fail } from '../errors.js'
import type { DecodeBatch, PrefillPiece } from '../nn/step-model.js'
import { PagePool } from './pages.js'
import type { GenerateRequest, Rollout } from './types.js'

export interface SchedulerOptions {
  prompts: readonly (readonly number[])[]
  /** Ids that key the random numbers of each prompt. */
  promptIds: readonly number[]
  n: number
  maxTokens: number
  /** Positions that the model has; an answer that would pass them ends as if it had reached maxTokens. */
  context: number
  stop: readonly number[]
  pageSize: number
  /** Pages of the cache. */
  pages: number
  maxBatch: number
  prefillChunk: number
  weightVersion: number
}

/** Keys of earlier tokens that a batch of prompts brings back, for each token that it may compute. */
const earlierKeys = 8

/** A prompt and the samples drawn for it. */
interface Group {
  prompt: number
  /** All but the prompt's last token. */
  prefix: readonly number[]
  pages: number[]
  /** Tokens of the prefix whose pages another prompt has computed: whole pages at its beginning. */
  shared: number
  /** Samples that have joined the batch so far. */
  joined: number
  /** Most tokens that an answer may have. */
  limit: number
  /** Pages that an answer may need. */
  ownPages: number
}

interface Row {
  group: Group
  sample: number
  /** Steps queued for it. */
  queued: number
  tokens: number[]
  logprobs: number[]
  ended: boolean
  pages: number[]
  /** Where it stood in the batch before; -1 for a row that has just joined. */
  carry: number
}

/** What one sample of a prompt needs at most: tokens it may draw, pages of its own, and pages that it shares with its group. */
export function sampleNeeds(
  promptTokens: number,
  { maxTokens, context, pageSize }: Pick<SchedulerOptions, 'maxTokens' | 'context' | 'pageSize'>,
) {
  // The last token that is drawn needs no position: nothing follows it.
  const limit = Math.min(maxTokens, context - promptTokens + 1)
  return { limit, own: Math.ceil(limit / pageSize), prefix: Math.ceil((promptTokens - 1) / pageSize) }
}

/**
 * Decides which sequences decode together: a group's prompt is computed once when its first sample joins, less the whole pages
 * that it begins with like the prompt before it, which both read; samples join in (prompt, sample) order as soon as there is a row and there are pages for their longest possible answer, and leave when they
 * end. It knows lengths and tokens, never time, and owns no memory but the page numbers.
 *
 * One step late: a step is queued (`queueStep`) before the tokens of the one before are known (`accept`). An answer that
 * reaches its length leaves in time; one that stops has one more token drawn, which is dropped.
 */
export class Scheduler {
  readonly results: Rollout[]
  readonly total: number
  done = 0
  /** Tokens that count. */
  tokens = 0
  prefillTokens = 0
  peakPages = 0
  readonly #pool: PagePool
  readonly #stop: ReadonlySet<number>
  readonly #ownWidth: number
  readonly #prefixWidth: number
  #rows: Row[] = []
  /** Rows of each queued step whose tokens are not known yet, oldest first. */
  readonly #flying: Row[][] = []
  /** Next (prompt, sample) to join. */
  #next = 0
  #head: Group | null = null
  /** The group that was started last. Its pages are held until the next prompt has taken those that both begin with. */
  #previous: Group | null = null
  #changed = false
  #ownPages = new Int32Array(0)

  constructor(private readonly options: SchedulerOptions) {
    const { prompts, n, maxTokens } = options
    this.total = prompts.length * n
    this.results = new Array(this.total)
    this.#stop = new Set(options.stop)
    this.#pool = new PagePool(options.pages)
    const needs = prompts.map((p) => sampleNeeds(p.length, options))
    this.#ownWidth = needs.reduce((most, { own }) => Math.max(most, own), 0)
    this.#prefixWidth = needs.reduce((most, { prefix }) => Math.max(most, prefix), 0)
    if (maxTokens === 0) this.#finishEmpty()
  }

  get rows(): number {
    return this.#rows.length
  }

  /** Pages that nobody uses or has reserved. */
  get freePages(): number {
    return this.#pool.available
  }

  /** Lets waiting samples join; returns the prompts' prefixes to compute, cut and packed into batches. */
  admit(): PrefillPiece[][] {
    const started: Group[] = []
    this.#rows = this.#rows.slice() // steps in flight keep the array that they were queued with
    while (this.#next < this.total && this.#rows.length < this.options.maxBatch) {
      const group = this.#head ?? this.#startGroup()
      if (!group) break
      if (group.pages.length > 0 && group.joined === 0) started.push(group)
      if (!this.#join(group)) break
    }
    this.peakPages = Math.max(this.peakPages, this.options.pages - this.#pool.available)
    return this.#pack(started)
  }

  /** Begins the next prompt if its prefix and one sample fit. */
  #startGroup(): Group | null {
    const { prompts, n, pageSize } = this.options
    const prompt = this.#next / n
    const tokens = prompts[prompt]!
    const need = sampleNeeds(tokens.length, this.options)
    const prefix = tokens.slice(0, -1)
    const shared = this.#sharedPages(prefix)
    const wanted = need.prefix - shared.length + need.own
    if (this.#pool.available < wanted && this.#rows.length > 0) return null
    for (const page of shared) this.#pool.retain(page)
    this.#forgetPrevious()
    if (this.#pool.available < wanted) {
      const free = this.#pool.available
      fail('Error', 'ERR_INTERNAL', `[generate] expected ${wanted} free pages with nothing running, got ${free}`)
    }
    this.#pool.reserve(need.prefix - shared.length)
    const own = Array.from({ length: need.prefix - shared.length }, () => this.#pool.take())
    const pages = [...shared, ...own]
    this.#head = {
      prompt,
      prefix,
      pages,
      shared: shared.length * pageSize,
      joined: 0,
      limit: need.limit,
      ownPages: need.own,
    }
    if (this.#next + n < this.total) {
      for (const page of pages) this.#pool.retain(page)
      this.#previous = this.#head
    }
    return this.#head
  }

  /** Whole pages that the previous prompt and this one both begin with. */
  #sharedPages(prefix: readonly number[]): number[] {
    if (this.#previous === null) return []
    const other = this.#previous.prefix
    let same = 0
    while (same < prefix.length && same < other.length && prefix[same] === other[same]) same++
    return this.#previous.pages.slice(0, Math.floor(same / this.options.pageSize))
  }

  #forgetPrevious(): void {
    for (const page of this.#previous?.pages ?? []) this.#pool.release(page)
    this.#previous = null
  }

  #join(group: Group): boolean {
    if (!this.#pool.reserve(group.ownPages)) return false
    for (const page of group.pages) this.#pool.retain(page)
    this.#rows.push({
      group,
      sample: group.joined,
      queued: 0,
      tokens: [],
      logprobs: [],
      ended: false,
      pages: [],
      carry: -1,
    })
    this.#changed = true
    this.#next++
    if (++group.joined === this.options.n) {
      // Nobody else will join: from here on the prefix lives as long as its samples.
      for (const page of group.pages) this.#pool.release(page)
      this.#head = null
    }
    return true
  }

  #pack(groups: readonly Group[]): PrefillPiece[][] {
    const batches: PrefillPiece[][] = []
    let room = 0
    /** Earlier keys that a batch may still bring back from pages, unless it is a single piece that needs more. */
    let earlier = 0
    for (const { prefix, pages, shared } of groups) {
      this.prefillTokens += prefix.length - shared
      for (let start = shared; start < prefix.length; ) {
        if (room === 0 || start > earlier) {
          batches.push([])
          room = this.options.prefillChunk
          earlier = Math.max(start, earlierKeys * this.options.prefillChunk)
        }
        const tokens = prefix.slice(start, start + room)
        batches.at(-1)!.push({ tokens, start, pages })
        room -= tokens.length
        earlier -= start
        start += tokens.length
      }
    }
    return batches
  }

  /**
   * Takes the pages that the coming step writes to. Returns the new composition if rows have joined or left, the new page
   * table alone if a row has only grown into another page, null where nothing changed.
   */
  prepare(): { batch: DecodeBatch | null; ownPages: Int32Array | null } {
    let grown = false
    for (const row of this.#rows) {
      if (row.queued < row.pages.length * this.options.pageSize) continue
      row.pages.push(this.#pool.take())
      grown = true
    }
    if (!this.#changed) return { batch: null, ownPages: grown ? this.#fillOwnPages() : null }
    this.#ownPages = new Int32Array(this.#rows.length * this.#ownWidth)
    this.#changed = false
    return { batch: this.#compose(), ownPages: null }
  }

  #fillOwnPages(): Int32Array {
    for (const [i, row] of this.#rows.entries()) this.#ownPages.set(row.pages, i * this.#ownWidth)
    return this.#ownPages
  }

  #compose(): DecodeBatch {
    const rows = this.#rows
    const groups: Group[] = []
    const starts: number[] = []
    for (const [i, row] of rows.entries()) {
      if (groups.at(-1) === row.group) continue
      groups.push(row.group)
      starts.push(i)
    }
    const column = (value: (row: Row) => number) => Int32Array.from(rows, value)
    const prefixPages = new Int32Array(groups.length * this.#prefixWidth)
    for (const [g, group] of groups.entries()) prefixPages.set(group.pages, g * this.#prefixWidth)
    const batch: DecodeBatch = {
      carry: column((r) => r.carry),
      tokens: column((r) => this.options.prompts[r.group.prompt]!.at(-1)!),
      positions: column((r) => r.group.prefix.length + r.queued),
      ownLengths: column((r) => r.queued),
      ownPages: this.#fillOwnPages(),
      ownWidth: this.#ownWidth,
      promptIds: column((r) => this.options.promptIds[r.group.prompt]!),
      samples: column((r) => r.sample),
      drawn: column((r) => r.queued),
      groupRows: Int32Array.from([...starts, rows.length]),
      prefixLengths: Int32Array.from(groups, (g) => g.prefix.length),
      prefixPages,
      prefixWidth: this.#prefixWidth,
    }
    for (const [i, row] of rows.entries()) row.carry = i
    return batch
  }

  /** A step over the current rows has been queued; rows that need no other leave. */
  queueStep(): void {
    this.#flying.push(this.#rows)
    for (const row of this.#rows) row.queued++
    this.#drop((row) => row.queued === row.group.limit)
  }

  /** The tokens of the oldest queued step. */
  accept(tokens: Int32Array, logprobs: Float32Array, onToken?: GenerateRequest['onToken']): void {
    const rows = this.#flying.shift()!
    let stopped = false
    for (const [i, row] of rows.entries()) {
      if (row.ended) continue
      const token = tokens[i]!
      const logprob = logprobs[i]!
      if (Number.isNaN(logprob) || token < 0) {
        fail(
          'Error',
          'ERR_NAN',
          `[generate] expected finite logits, got NaN for prompt ${row.group.prompt}, sample ${row.sample}, ` +
            `token ${row.tokens.length}: are the weights finite?`,
        )
      }
      row.tokens.push(token)
      row.logprobs.push(logprob)
      this.tokens++
      const stop = this.#stop.has(token)
      const ended = stop || row.tokens.length === row.group.limit
      onToken?.(row.group.prompt, row.sample, token, ended)
      if (!ended) continue
      row.ended = true
      stopped ||= row.queued < row.group.limit
      this.#record(row, stop ? 'stop' : 'length')
    }
    if (stopped) this.#drop((row) => row.ended)
  }

  #drop(leaves: (row: Row) => boolean): void {
    const staying: Row[] = []
    for (const row of this.#rows) {
      if (!leaves(row)) {
        staying.push(row)
        continue
      }
      for (const page of row.pages) this.#pool.release(page)
      this.#pool.cancel(row.group.ownPages - row.pages.length)
      for (const page of row.group.pages) this.#pool.release(page)
    }
    if (staying.length === this.#rows.length) return
    this.#rows = staying
    this.#changed = true
  }

  #record(row: Row, finishReason: Rollout['finishReason']): void {
    const { n, weightVersion } = this.options
    this.results[row.group.prompt * n + row.sample] = {
      prompt: row.group.prompt,
      sample: row.sample,
      tokens: row.tokens,
      logprobs: Float32Array.from(row.logprobs),
      finishReason,
      weightVersion,
    }
    this.done++
  }

  #finishEmpty(): void {
    const { prompts, n, weightVersion } = this.options
    this.#next = this.total
    this.done = this.total
    for (let prompt = 0; prompt < prompts.length; prompt++) {
      for (let sample = 0; sample < n; sample++) {
        this.results[prompt * n + sample] = {
          prompt,
          sample,
          tokens: [],
          logprobs: new Float32Array(0),
          finishReason: 'length',
          weightVersion,
        }
      }
    }
  }
}
