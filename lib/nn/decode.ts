// Rollouts on a device: prefill writes a prompt's keys and values into pages, a decode step draws a token for every row.
//
// Everything that changes from step to step (tokens, positions, lengths, slots) lives on the device, so a step is queued
// without knowing what the one before it drew, and, on a device for which that is cheaper, is recorded once and replayed: as
// sequences come and go only tables change, and rows that are left over hold no sequence.

import {
  attention,
  copy,
  decodeAdvance,
  decodeAttention,
  decodeSlots,
  fill,
  gatherRows,
  kvRead,
  kvWrite,
  linear,
  sample,
} from '../tensor/ops.generated.js'
import { record } from '../tensor/recording.js'
import { keep, scope } from '../tensor/scope.js'
import { segmentTables } from '../tensor/segments.js'
import { empty, type Tensor, tensor, write } from '../tensor/tensor.js'
import { DecodeBuffers, type DecodeRows, padded, recordedRows, writeRows } from './decode-rows.js'
import { runLayers, Workspace } from './inference.js'
import type { KvCache } from './kv-cache.js'
import type { ParamStore } from './params.js'
import type { DecodeBatch, PrefillPiece, StepModel, StepResult } from './step-model.js'

/** What decides how a token is drawn from its logits. */
export interface DrawSettings {
  temperature: number
  topK: number
  topP: number
  minP: number
  /** Both key the random numbers. */
  seed: number
  step: number
}

/**
 * Up to so many rows a step is recorded everywhere: it is over so soon that queueing its ops one by one would keep the JS thread busy for
 * a good part of it, on a core that small machines need for the step itself.
 */
const fewRows = 8

/** A decoder over a paged cache. Neither the weights nor the cache are its own. */
export class DecoderSteps implements StepModel {
  readonly #scale: number
  #buffers: DecodeBuffers | null = null
  #rows: DecodeRows | null = null
  /** Rows that hold a sequence. */
  #used = 0

  constructor(
    private readonly params: ParamStore,
    private readonly cache: KvCache,
    private readonly draw: DrawSettings,
  ) {
    this.#scale = 1 / Math.sqrt(params.config.headDim)
  }

  async prefill(pieces: readonly PrefillPiece[]): Promise<void> {
    if (pieces.length > 0) scope(() => this.#queuePrefill(pieces))
    await this.params.device.synchronize()
  }

  #queuePrefill(pieces: readonly PrefillPiece[]): void {
    const { params, cache } = this
    const { device, dtype } = params
    const { numKvHeads: hkv, headDim } = params.config
    const ints = (data: Int32Array) => tensor(data, [data.length], { device })
    const slotOf = (pages: readonly number[], i: number) =>
      pages[Math.floor(i / cache.pageSize)]! * cache.pageSize + (i % cache.pageSize)
    const tokens = Int32Array.from(pieces.flatMap((p) => [...p.tokens]))
    const positions = Int32Array.from(pieces.flatMap((p) => p.tokens.map((_, i) => p.start + i)))
    const slots = Int32Array.from(pieces.flatMap((p) => p.tokens.map((_, i) => slotOf(p.pages, p.start + i))))
    const rows = tokens.length
    // Keys lie piece after piece, before each its earlier ones where it is the rest of a prompt: those come back from the pages.
    let [row, key] = [0, 0]
    const layout = pieces.map(({ tokens, start, pages }) => {
      const queries: [number, number] = [row, (row += tokens.length)]
      const before: [number, number] = [key, (key += start)]
      return { start, pages, queries, before, own: [key, (key += tokens.length)] as [number, number] }
    })
    const { segments, spans } = segmentTables(
      layout.map(({ start, queries, before, own }) => {
        const keys: [number, number] = [before[0], own[1]]
        return { queries, keys, causalOffset: start, spans: [] }
      }),
      device,
    )
    const w = new Workspace(params, rows)
    try {
      const at = { tokens: ints(tokens), positions: ints(positions), slots: ints(slots) }
      const make = () => empty([key, hkv, headDim], { device, dtype })
      const whole = key > rows ? { k: make(), v: make() } : w
      const lse = empty([rows, params.config.numHeads], { device })
      const part = (of: { k: Tensor; v: Tensor }, [from, to]: [number, number]) => ({
        k: of.k.rows(from, to),
        v: of.v.rows(from, to),
      })
      const parts = layout.map(({ start, pages, queries, before, own }) => ({
        slots: start > 0 ? ints(Int32Array.from({ length: start }, (_, i) => slotOf(pages, i))) : null,
        before: part(whole, before),
        from: part(w, queries),
        own: part(whole, own),
      }))
      runLayers(
        params,
        w,
        at.tokens,
        at.positions,
        (layer, _, last) => {
          kvWrite(w.k, w.v, cache.layers[layer]!, at.slots)
          if (last) return
          for (const { slots, before, from, own } of whole === w ? [] : parts) {
            if (slots) kvRead(cache.layers[layer]!, slots, { out: before })
            copy(from.k, own.k)
            copy(from.v, own.v)
          }
          attention(w.q, whole.k, whole.v, segments, spans, { scale: this.#scale, out: { out: w.attended, lse } })
        },
        { keysOnly: true },
      )
    } finally {
      w.dispose()
    }
  }

  compose(batch: DecodeBatch): void {
    const used = batch.tokens.length
    const count = this.params.device.replays ? recordedRows(used) : used
    const tokens = scope(() => this.#carryTokens(batch))
    try {
      const rows = this.#buffersFor(batch, count).rows(count)
      scope(() => {
        if (count > used) fill(rows.tokens, { value: 0 })
        copy(tokens, rows.tokens.rows(0, used))
        writeRows(rows, batch, this.draw)
      })
      this.#rows = rows
      this.#used = used
    } finally {
      tokens.dispose()
    }
  }

  /** Buffers for at least `count` rows. Those before are freed, with what was recorded on them, where they are too small. */
  #buffersFor({ ownWidth, prefixWidth }: DecodeBatch, count: number): DecodeBuffers {
    const before = this.#buffers
    if (before && before.capacity >= count && before.ownWidth === ownWidth && before.prefixWidth === prefixWidth) {
      return before
    }
    before?.dispose()
    this.#buffers = null
    this.#rows = null
    this.#buffers = new DecodeBuffers(this.params, count, ownWidth, prefixWidth)
    return this.#buffers
  }

  /** Inputs of the new rows: drawn by the step that was queued last, or given by the host. */
  #carryTokens(batch: DecodeBatch): Tensor {
    const { device } = this.params
    const old = this.#rows
    if (!old) return keep(tensor(batch.tokens, [batch.tokens.length], { device }))
    const count = batch.tokens.length
    const all = empty([old.count + count], { device, dtype: 'i32' })
    copy(old.tokens, all.rows(0, old.count))
    write(all.rows(old.count, old.count + count), batch.tokens)
    const index = batch.carry.map((row, i) => (row >= 0 ? row : old.count + i))
    return keep(gatherRows(all, tensor(index, [count], { device })))
  }

  growPages(ownPages: Int32Array): void {
    const table = this.#rows!.ownPages
    write(table, padded(ownPages, table.size))
  }

  step(): Promise<StepResult> {
    const rows = this.#rows!
    const { device } = this.params
    // The first step over some rows runs as it is: it makes what is made once (scratch space, the table of rotations).
    const records = device.replays || rows.count <= fewRows
    if (records && rows.steps > 0) rows.recorded ??= record(device, () => this.#queueStep(rows))
    if (rows.recorded) rows.recorded.replay()
    else this.#queueStep(rows)
    rows.steps++
    return this.#read(rows, this.#used)
  }

  #queueStep(rows: DecodeRows): void {
    const { workspace: w, rowGroup, prefixPages, prefixLens, ownPages, ownLens, positions, slots } = rows
    const { cache, params } = this
    const scale = this.#scale
    decodeAdvance(rowGroup, positions, ownLens)
    decodeSlots(ownPages, ownLens, { pageSize: cache.pageSize, out: { slots } })
    runLayers(params, w, rows.tokens, positions, (layer) => {
      const kv = cache.layers[layer]!
      kvWrite(w.k, w.v, kv, slots)
      decodeAttention(w.q, kv, rowGroup, prefixPages, prefixLens, ownPages, ownLens, {
        scale,
        out: { out: w.attended },
      })
    })
    const { temperature, topK, topP, minP } = this.draw
    for (const { hidden, logits, keys, positions, token, logprob } of rows.heads) {
      linear(hidden, params.head.forward!, { f32Output: true, out: { y: logits } })
      sample(logits, keys, positions, { temperature, topK, topP, minP, out: { token, logprob } })
    }
  }

  async #read({ tokens, logprobs }: DecodeRows, used: number): Promise<StepResult> {
    const [t, l] = await Promise.all([tokens.toInt32Array(), logprobs.toFloat32Array()])
    return { tokens: t.subarray(0, used), logprobs: l.subarray(0, used) }
  }

  dispose(): void {
    this.#buffers?.dispose()
    this.#buffers = null
    this.#rows = null
  }
}
