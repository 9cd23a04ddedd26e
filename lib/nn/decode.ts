// Rollouts on a device: prefill writes a prompt's keys and values into pages, a decode step draws a token for every row.
//
// Everything that changes from step to step (tokens, positions, lengths, slots) lives on the device, so a step is queued
// without knowing what the one before it drew. The rows' buffers are made anew when the batch's composition changes: the
// allocator hands out the same memory again, and a steady batch allocates nothing.

import {
  attention,
  copy,
  decodeAdvance,
  decodeAttention,
  decodeSlots,
  gatherRows,
  kvRead,
  kvWrite,
  linear,
  sample,
} from '../tensor/ops.generated.js'
import { keep, scope } from '../tensor/scope.js'
import { segmentTables } from '../tensor/segments.js'
import { empty, type Tensor, tensor, write } from '../tensor/tensor.js'
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

/** Rows whose logits exist at once: enough for the head's GEMM to run at full speed, little enough to stay near the cache. */
const rowsPerHead = 64

/** The rows of a composition with their state on the device. B rows, G groups. */
interface Rows {
  count: number
  workspace: Workspace
  tokens: Tensor // [B] drawn last, the input of the next step
  logprobs: Tensor // f32 [B]
  positions: Tensor // [B] of the last input
  ownLens: Tensor // [B]
  ownPages: Tensor // [B, ownWidth]
  slots: Tensor // [B]
  keys: Tensor // [B, 4]
  rowGroup: Tensor // [B]
  prefixPages: Tensor // [G, prefixWidth]
  prefixLens: Tensor // [G]
  /** Runs of at most {@link rowsPerHead} rows: their hidden states, logits and what is drawn, as views. */
  heads: { hidden: Tensor; logits: Tensor; keys: Tensor; positions: Tensor; token: Tensor; logprob: Tensor }[]
}

/** A decoder over a paged cache. Neither the weights nor the cache are its own. */
export class DecoderSteps implements StepModel {
  readonly #scale: number
  #rows: Rows | null = null
  #owned: Tensor[] = []

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
    // Only the first piece of a batch can be the rest of a prompt: its earlier keys come back from the pages.
    const earlier = pieces[0]!.start
    const slotOf = (pages: readonly number[], i: number) =>
      pages[Math.floor(i / cache.pageSize)]! * cache.pageSize + (i % cache.pageSize)
    const tokens = Int32Array.from(pieces.flatMap((p) => [...p.tokens]))
    const positions = Int32Array.from(pieces.flatMap((p) => p.tokens.map((_, i) => p.start + i)))
    const slots = Int32Array.from(pieces.flatMap((p) => p.tokens.map((_, i) => slotOf(p.pages, p.start + i))))
    const rows = tokens.length
    let row = 0
    const { segments, spans } = segmentTables(
      pieces.map(({ tokens, start }) => {
        const queries: [number, number] = [row, (row += tokens.length)]
        const keys: [number, number] = [start > 0 ? 0 : earlier + queries[0], earlier + queries[1]]
        return { queries, keys, causalOffset: start, spans: [] }
      }),
      device,
    )
    const w = new Workspace(params, rows)
    try {
      const at = { tokens: ints(tokens), positions: ints(positions), slots: ints(slots) }
      const before =
        earlier > 0 ? ints(Int32Array.from({ length: earlier }, (_, i) => slotOf(pieces[0]!.pages, i))) : null
      const make = () => empty([earlier + rows, hkv, headDim], { device, dtype })
      const whole = before ? { k: make(), v: make() } : w
      const lse = empty([rows, params.config.numHeads], { device })
      const parts = before && {
        kBefore: whole.k.rows(0, earlier),
        vBefore: whole.v.rows(0, earlier),
        k: whole.k.rows(earlier, earlier + rows),
        v: whole.v.rows(earlier, earlier + rows),
      }
      runLayers(
        params,
        w,
        at.tokens,
        at.positions,
        (layer, _, last) => {
          kvWrite(w.k, w.v, cache.layers[layer]!, at.slots)
          if (last) return
          if (before && parts) {
            kvRead(cache.layers[layer]!, before, { out: { k: parts.kBefore, v: parts.vBefore } })
            copy(w.k, parts.k)
            copy(w.v, parts.v)
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
    const { params, draw } = this
    const { device, config } = params
    const count = batch.tokens.length
    const before = this.#owned
    this.#owned = []
    const own = <T extends Tensor>(t: T): T => {
      this.#owned.push(keep(t))
      return t
    }
    const ints = (data: Int32Array, shape: number[] = [data.length]) => own(tensor(data, shape, { device }))
    const tokens = own(scope(() => this.#carryTokens(batch)))
    this.#rows?.workspace.dispose()
    for (const t of before) t.dispose()
    this.#rows = null
    const groups = batch.prefixLengths.length
    const rowGroup = new Int32Array(count)
    for (let g = 0; g < groups; g++) rowGroup.fill(g, batch.groupRows[g]!, batch.groupRows[g + 1]!)
    const keys = new Int32Array(count * 4)
    for (let i = 0; i < count; i++) keys.set([draw.seed, draw.step, batch.promptIds[i]!, batch.samples[i]!], i * 4)
    const workspace = new Workspace(params, count)
    const rows: Rows = {
      count,
      workspace,
      tokens,
      logprobs: own(empty([count], { device })),
      positions: ints(batch.positions.map((p) => p - 1)), // a step begins by counting its token
      ownLens: ints(batch.ownLengths),
      ownPages: ints(batch.ownPages, [count, batch.ownWidth]),
      slots: own(empty([count], { device, dtype: 'i32' })),
      keys: ints(keys, [count, 4]),
      rowGroup: ints(rowGroup),
      prefixPages: ints(batch.prefixPages, [groups, batch.prefixWidth]),
      prefixLens: ints(batch.prefixLengths),
      heads: [],
    }
    const logits = own(empty([Math.min(count, rowsPerHead), config.vocabSize], { device }))
    for (let begin = 0; begin < count; begin += rowsPerHead) {
      const end = Math.min(begin + rowsPerHead, count)
      const part = (t: Tensor) => own(t.rows(begin, end))
      rows.heads.push({
        hidden: part(workspace.normed),
        logits: own(logits.rows(0, end - begin)),
        keys: part(rows.keys),
        positions: part(rows.positions),
        token: part(rows.tokens),
        logprob: part(rows.logprobs),
      })
    }
    this.#rows = rows
  }

  /** Inputs of the new rows: drawn by the step that was queued last, or given by the host. */
  #carryTokens(batch: DecodeBatch): Tensor {
    const { device } = this.params
    const old = this.#rows
    if (!old) return tensor(batch.tokens, [batch.tokens.length], { device })
    const count = batch.tokens.length
    const all = empty([old.count + count], { device, dtype: 'i32' })
    copy(old.tokens, all.rows(0, old.count))
    write(all.rows(old.count, old.count + count), batch.tokens)
    const index = batch.carry.map((row, i) => (row >= 0 ? row : old.count + i))
    return gatherRows(all, tensor(index, [count], { device }))
  }

  growPages(ownPages: Int32Array): void {
    write(this.#rows!.ownPages, ownPages)
  }

  step(): Promise<StepResult> {
    const rows = this.#rows!
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
    return this.#read(rows)
  }

  async #read({ tokens, logprobs }: Rows): Promise<StepResult> {
    const [t, l] = await Promise.all([tokens.toInt32Array(), logprobs.toFloat32Array()])
    return { tokens: t, logprobs: l }
  }

  dispose(): void {
    this.#rows?.workspace.dispose()
    for (const t of this.#owned) t.dispose()
    this.#rows = null
    this.#owned = []
  }
}
