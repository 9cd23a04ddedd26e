// Plain float64 versions of the ops that the self-test runs.

export type Matrix = { rows: number; columns: number; values: Float64Array }

/** Numbers in [-1, 1), the same on every machine. */
export function numbers(rows: number, columns: number, seed: number): Matrix {
  let state = seed
  const values = Float64Array.from({ length: rows * columns }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.fround((state / 2 ** 32) * 2 - 1)
  })
  return { rows, columns, values }
}

const at = (m: Matrix, i: number, j: number) => m.values[i * m.columns + j]!

function build(rows: number, columns: number, value: (i: number, j: number) => number): Matrix {
  const values = Float64Array.from({ length: rows * columns }, (_, k) => value(Math.floor(k / columns), k % columns))
  return { rows, columns, values }
}

/** x W^T; x: [T, K], w: [N, K]. */
export const linear = (x: Matrix, w: Matrix): Matrix =>
  build(x.rows, w.rows, (i, j) => {
    let sum = 0
    for (let k = 0; k < x.columns; k++) sum += at(x, i, k) * at(w, j, k)
    return sum
  })

export const rmsNorm = (x: Matrix, w: Matrix, eps: number): Matrix =>
  build(x.rows, x.columns, (i, j) => {
    let sum = 0
    for (let k = 0; k < x.columns; k++) sum += at(x, i, k) ** 2
    return (at(x, i, j) / Math.sqrt(sum / x.columns + eps)) * w.values[j]!
  })

export const swiglu = (gate: Matrix, up: Matrix): Matrix =>
  build(gate.rows, gate.columns, (i, j) => (at(gate, i, j) / (1 + Math.exp(-at(gate, i, j)))) * at(up, i, j))

/** Causal attention; q: [T, Hq * D], k and v: [T, Hkv * D]. */
export function attention(q: Matrix, k: Matrix, v: Matrix, dim: number): Matrix {
  const group = q.columns / k.columns
  return build(q.rows, q.columns, (t, column) => {
    const head = Math.floor(column / dim)
    const from = Math.floor(head / group) * dim
    const scores = Array.from({ length: t + 1 }, (_, s) => {
      let sum = 0
      for (let d = 0; d < dim; d++) sum += at(q, t, head * dim + d) * at(k, s, from + d)
      return sum / Math.sqrt(dim)
    })
    const most = Math.max(...scores)
    const weights = scores.map((x) => Math.exp(x - most))
    const total = weights.reduce((a, b) => a + b, 0)
    return weights.reduce((sum, x, s) => sum + (x / total) * at(v, s, from + (column % dim)), 0)
  })
}

/** Log-softmax of h W^T at the targets. */
export function logprob(h: Matrix, w: Matrix, targets: Int32Array): Matrix {
  const logits = linear(h, w)
  return build(h.rows, 1, (i) => {
    const row = Array.from({ length: w.rows }, (_, j) => at(logits, i, j))
    const most = Math.max(...row)
    return row[targets[i]!]! - most - Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0))
  })
}

/** The columns of the largest value of each row. */
export const argmax = (x: Matrix): Matrix =>
  build(x.rows, 1, (i) => {
    let best = 0
    for (let j = 1; j < x.columns; j++) if (at(x, i, j) > at(x, i, best)) best = j
    return best
  })
