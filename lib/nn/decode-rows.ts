// What a decode step works on: buffers for as many rows as the batch has had, and views of them for the rows that it has.
// The views of one number of rows stay the same as sequences come and go, so that a step over them can be recorded.

import type { Recording } from '../tensor/recording.js'
import { keep } from '../tensor/scope.js'
import { type DType, empty, type Tensor, write } from '../tensor/tensor.js'
import { Workspace } from './inference.js'
import type { ParamStore } from './params.js'
import type { DecodeBatch } from './step-model.js'

/** Rows whose logits exist at once: enough for the head's GEMM to run at full speed, little enough to stay near the cache. */
const rowsPerHead = 64

/** A run of at most {@link rowsPerHead} rows: their hidden states, logits and what is drawn, as views. */
export interface HeadRows {
  hidden: Tensor
  logits: Tensor
  keys: Tensor
  positions: Tensor
  token: Tensor
  logprob: Tensor
}

/** The state of B rows on the device. Every tensor is a view of the buffers' first rows. */
export interface DecodeRows {
  count: number
  workspace: Workspace
  tokens: Tensor // [B] drawn last, the input of the next step
  logprobs: Tensor // f32 [B]
  positions: Tensor // [B] of the last input
  ownLens: Tensor // [B]
  ownPages: Tensor // [B, ownWidth]
  slots: Tensor // [B]
  keys: Tensor // [B, 4]
  rowGroup: Tensor // [B] -1: no sequence
  prefixPages: Tensor // [B, prefixWidth], of which the first G count
  prefixLens: Tensor // [B]
  heads: HeadRows[]
  /** Steps queued over these views so far, and the recording of one. */
  steps: number
  recorded: Recording | null
}

/** Numbers of rows for which a step is recorded: 1, 2, 4, then multiples of 8. */
export function recordedRows(count: number): number {
  if (count > 4) return Math.ceil(count / 8) * 8
  return count > 2 ? 4 : count
}

export class DecodeBuffers {
  readonly #all: Tensor[] = []
  readonly #workspace: Workspace
  readonly #whole: Omit<DecodeRows, 'count' | 'workspace' | 'heads' | 'steps' | 'recorded'>
  readonly #logits: Tensor
  readonly #views = new Map<number, DecodeRows>()

  constructor(
    private readonly params: ParamStore,
    readonly capacity: number,
    readonly ownWidth: number,
    readonly prefixWidth: number,
  ) {
    const { device, config } = params
    const make = (shape: number[], dtype: DType = 'i32') => this.#own(empty(shape, { device, dtype }))
    this.#workspace = new Workspace(params, capacity)
    this.#whole = {
      tokens: make([capacity]),
      logprobs: make([capacity], 'f32'),
      positions: make([capacity]),
      ownLens: make([capacity]),
      ownPages: make([capacity, ownWidth]),
      slots: make([capacity]),
      keys: make([capacity, 4]),
      rowGroup: make([capacity]),
      prefixPages: make([capacity, prefixWidth]),
      prefixLens: make([capacity]),
    }
    this.#logits = make([Math.min(capacity, rowsPerHead), config.vocabSize], 'f32')
  }

  #own(t: Tensor): Tensor {
    this.#all.push(keep(t))
    return t
  }

  /** The first `count` rows; the same views each time. */
  rows(count: number): DecodeRows {
    const known = this.#views.get(count)
    if (known) return known
    const first = (t: Tensor) => this.#own(t.rows(0, count))
    const whole = this.#whole
    const rows: DecodeRows = {
      count,
      workspace: new Workspace(this.params, count, this.#workspace),
      tokens: first(whole.tokens),
      logprobs: first(whole.logprobs),
      positions: first(whole.positions),
      ownLens: first(whole.ownLens),
      ownPages: first(whole.ownPages),
      slots: first(whole.slots),
      keys: first(whole.keys),
      rowGroup: first(whole.rowGroup),
      prefixPages: first(whole.prefixPages),
      prefixLens: first(whole.prefixLens),
      heads: [],
      steps: 0,
      recorded: null,
    }
    for (let begin = 0; begin < count; begin += rowsPerHead) {
      const end = Math.min(begin + rowsPerHead, count)
      const part = (t: Tensor) => this.#own(t.rows(begin, end))
      rows.heads.push({
        hidden: part(rows.workspace.normed),
        logits: this.#own(this.#logits.rows(0, end - begin)),
        keys: part(rows.keys),
        positions: part(rows.positions),
        token: part(rows.tokens),
        logprob: part(rows.logprobs),
      })
    }
    this.#views.set(count, rows)
    return rows
  }

  dispose(): void {
    for (const rows of this.#views.values()) {
      rows.recorded?.dispose()
      rows.workspace.dispose()
    }
    this.#workspace.dispose()
    for (const t of this.#all) t.dispose()
  }
}

/** Writes a composition's tables into `rows`, all but the tokens; rows past the batch's hold no sequence. */
export function writeRows(rows: DecodeRows, batch: DecodeBatch, draw: { seed: number; step: number }): void {
  const used = batch.tokens.length
  const { count } = rows
  const groups = batch.prefixLengths.length
  const rowGroup = new Int32Array(count).fill(-1)
  for (let g = 0; g < groups; g++) rowGroup.fill(g, batch.groupRows[g]!, batch.groupRows[g + 1]!)
  const keys = new Int32Array(count * 4)
  for (let i = 0; i < used; i++) keys.set([draw.seed, draw.step, batch.promptIds[i]!, batch.samples[i]!], i * 4)
  write(
    rows.positions,
    padded(
      batch.positions.map((p) => p - 1), // a step begins by counting its token
      count,
    ),
  )
  write(rows.ownLens, padded(batch.ownLengths, count))
  write(rows.ownPages, padded(batch.ownPages, count * batch.ownWidth))
  write(rows.keys, keys)
  write(rows.rowGroup, rowGroup)
  write(rows.prefixPages, padded(batch.prefixPages, count * batch.prefixWidth))
  write(rows.prefixLens, padded(batch.prefixLengths, count))
}

/** `data` with zeros behind it, `length` numbers in all. */
export function padded(data: Int32Array, length: number): Int32Array {
  if (data.length === length) return data
  const out = new Int32Array(length)
  out.set(data)
  return out
}
