/**
 * A packed batch is rows plus segments: no padding, no tensors, only tables that the graph turns into kernel arguments.
 *
 * Rows are tokens, back to back. A segment is a range of query rows with the key rows that they may see: every row of each of
 * `spans` (a shared prefix, in general several), and the segment's own `keys` causally. Packed sequences, shared-prefix groups
 * and chunked prefill differ in their tables only.
 */

/** Rows `[start, end)`. */
export type RowRange = [start: number, end: number]

export interface Segment {
  queries: RowRange
  /** The segment's own key rows, or null where it sees nothing of its own. */
  keys: RowRange | null
  /** Query i of the segment sees its own keys j <= i + causalOffset. */
  causalOffset: number
  /** Key rows that every query of the segment sees in full. */
  spans: RowRange[]
}

export interface PackedBatch {
  /** [T] token ids */
  tokens: Int32Array
  /** [T] position of each token in its own sequence */
  positions: Int32Array
  segments: Segment[]
  /** [R] the rows that predict a target, ascending */
  rows: Int32Array
  /** [R] the token that each of `rows` predicts */
  targets: Int32Array
}

/** A batch whose predictions belong to items (sequences or completions), in the order in which they were given. */
export interface ItemizedBatch extends PackedBatch {
  /** [items + 1] predictions of item i are `[offsets[i], offsets[i + 1])` in `rows` and `targets` */
  offsets: Int32Array
}

/** A whole sequence. Token 0 is never predicted. */
export interface Sequence {
  tokens: ArrayLike<number>
  /** [tokens] 0 takes a token out of the loss; absent: every token but the first is predicted. */
  mask?: ArrayLike<number> | null
}

/** What a model answered to a prompt. */
export interface Completion {
  tokens: ArrayLike<number>
  /** [tokens] 0 takes a token out of the loss, though later tokens still see it; absent: every token counts. */
  mask?: ArrayLike<number> | null
}

/** A prompt and the completions drawn for it. */
export interface PromptGroup {
  prompt: ArrayLike<number>
  completions: readonly Completion[]
}
