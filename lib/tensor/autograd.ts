import { add } from './ops.generated.js'
import { scope } from './scope.js'
import type { Tensor } from './tensor.js'

/** A value in a recorded computation, and the gradient that flows back to it. */
export class Variable {
  #grad: Tensor | null = null

  constructor(readonly value: Tensor) {}

  /** Adds a gradient; the first one is shared, not copied. */
  accumulate(gradient: Tensor): void {
    const before = this.#grad
    this.#grad = (before ? add(before, gradient) : gradient).retain()
    before?.release()
  }

  /** Runs `use` with the gradient and frees it; false, and nothing done, where no gradient arrived. */
  withGrad(use: (gradient: Tensor) => void): boolean {
    const gradient = this.#grad
    if (!gradient) return false
    this.#grad = null
    try {
      use(gradient)
    } finally {
      gradient.release()
    }
    return true
  }
}

interface Entry {
  saved: Tensor[]
  backward: () => void
}

/**
 * Records what the backward pass has to do. Ops that run under a tape save the tensors that their gradients need;
 * each is freed as soon as its entry has run.
 */
export class Tape {
  #entries: Entry[] = []

  /** @param saved tensors that `backward` reads; they outlive the scope that made them */
  record(saved: readonly (Tensor | null | undefined)[], backward: () => void): void {
    const tensors = saved.filter((t) => t !== null && t !== undefined)
    for (const t of tensors) t.retain()
    this.#entries.push({ saved: tensors, backward })
  }

  /** Runs the entries from last to first. Gradients of the outputs must have been accumulated. */
  backward(): void {
    for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) {
      try {
        scope(entry.backward)
      } finally {
        for (const t of entry.saved) t.release()
      }
    }
  }

  /** Frees everything without running it. */
  clear(): void {
    for (const entry of this.#entries) for (const t of entry.saved) t.release()
    this.#entries = []
  }
}

/**
 * Runs `fn` without saving its activations; the backward pass runs it again. The only recompute primitive: the second
 * run is the same ops on the same values, so the gradients are bitwise those of an ordinary run.
 *
 * `fn` gets fresh variables over the same input values and the tape to record on (null in the first run).
 */
export function checkpoint(
  tape: Tape | null,
  inputs: readonly Variable[],
  fn: (inputs: Variable[], tape: Tape | null) => Variable[],
): Variable[] {
  if (!tape) return fn([...inputs], null)
  const outputs = scope(() => fn([...inputs], null))
  tape.record(
    inputs.map((v) => v.value),
    () => {
      const inner = new Tape()
      const again = inputs.map((v) => new Variable(v.value))
      try {
        const results = fn(again, inner)
        for (const [i, output] of outputs.entries()) output.withGrad((g) => results[i]!.accumulate(g))
        inner.backward()
      } finally {
        inner.clear()
      }
      for (const [i, v] of again.entries()) v.withGrad((g) => inputs[i]!.accumulate(g))
    },
  )
  return outputs
}
