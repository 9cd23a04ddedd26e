export interface SftLoss {
  /** This call's part of the update's loss. */
  loss: number
  /** [T] */
  dLogprob: Float32Array
}

/** Mean negative log-likelihood: -sum(log-prob) / tokens. `tokens` is that of the whole update, so that parts of it sum up. */
export function sftLoss(logprob: ArrayLike<number>, tokens: number): SftLoss {
  let sum = 0
  for (let t = 0; t < logprob.length; t++) sum += logprob[t]!
  const scale = -1 / Math.max(tokens, 1)
  return { loss: scale * sum, dLogprob: new Float32Array(logprob.length).fill(scale) }
}
