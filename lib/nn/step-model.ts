/**
 * What continuous batching asks of a model. Every call is queued on the device in program order, so memory that a call
 * uses may be given to a later call as soon as the first has been queued.
 */
export interface StepModel {
  /** Computes keys and values of prompt tokens and writes them to their pages; resolves when the device has done it. */
  prefill(pieces: readonly PrefillPiece[]): Promise<void>
  /** Sets the rows of the following steps. */
  compose(batch: DecodeBatch): void
  /** Replaces {@link DecodeBatch.ownPages}: sequences have grown into new pages. */
  growPages(ownPages: Int32Array): void
  /** Queues one token for every row; the next step may be queued before this one is read. */
  step(): Promise<StepResult>
  /** Frees everything once what is queued has run. */
  dispose(): void
}

/** Tokens `[start, start + tokens.length)` of one prompt. Pieces of a prompt come in order. */
export interface PrefillPiece {
  tokens: readonly number[]
  start: number
  /** The prompt's pages; token i belongs in slot i % pageSize of page floor(i / pageSize). */
  pages: readonly number[]
}

/** The rows of a decode step: sequences of one group (one prompt) are neighbours. B rows, G groups. */
export interface DecodeBatch {
  /** [B] the row of the batch before whose last drawn token is this row's input, or -1 where `tokens` has it. */
  carry: Int32Array
  /** [B] */
  tokens: Int32Array
  /** [B] position of the input token in its sequence; grows by one with each step. */
  positions: Int32Array
  /** [B] slots of the row's own pages that are filled; grows by one with each step. */
  ownLengths: Int32Array
  /** [B, ownWidth] pages of a row's own tokens, the input token's slot included. */
  ownPages: Int32Array
  ownWidth: number
  /** [B] ids that key the random numbers, and how many tokens the row has drawn; the last grows by one with each step. */
  promptIds: Int32Array
  samples: Int32Array
  drawn: Int32Array
  /** [G + 1] group g is rows `[groupRows[g], groupRows[g + 1])`. */
  groupRows: Int32Array
  /** [G] tokens of the prefix that the group's rows share. */
  prefixLengths: Int32Array
  /** [G, prefixWidth] */
  prefixPages: Int32Array
  prefixWidth: number
}

export interface StepResult {
  /** [B] */
  tokens: Int32Array
  /** [B] log-softmax(logits / temperature) of each token. */
  logprobs: Float32Array
}
