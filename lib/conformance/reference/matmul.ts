import type { Call, Input, Round, Values } from '../row.js'

// Matrix products in float64. `round` stands where an unfused implementation stores a tensor.

/** Rows of a tensor of two or more dimensions, trailing sizes joined. */
export const rowsOf = (x: Input): number => x.shape[0]!
export const columnsOf = (x: Input): number => x.shape.slice(1).reduce((a, b) => a * b, 1)

interface Operand {
  values: Values
  row: number
  column: number
}

export const plain = (x: Input): Operand => ({ values: x.values, row: columnsOf(x), column: 1 })
export const flipped = (x: Input): Operand => ({ values: x.values, row: 1, column: columnsOf(x) })

/** c[i, j] = sum over d of a[i, d] b[d, j] */
export function product(a: Operand, b: Operand, m: number, n: number, depth: number): Values {
  const c = new Float64Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let d = 0; d < depth; d++) {
      const x = a.values[i * a.row + d * a.column]!
      for (let j = 0; j < n; j++) c[i * n + j]! += x * b.values[d * b.row + j * b.column]!
    }
  }
  return c
}

export function linear({ inputs, attrs }: Call, round: Round): Record<string, Values> {
  const { x, w, bias, residual } = inputs
  const [t, n, k] = [rowsOf(x!), rowsOf(w!), columnsOf(w!)]
  const stored = attrs.f32Output ? (v: number) => v : round
  let y = product(plain(x!), flipped(w!), t, n, k).map(round)
  if (bias) y = y.map((v, i) => stored(v + bias.values[i % n]!))
  if (residual) y = y.map((v, i) => stored(v + residual.values[i]!))
  return { y }
}

export function linearBackwardInput({ inputs }: Call, round: Round): Record<string, Values> {
  const { dy, w } = inputs
  return { dx: product(plain(dy!), plain(w!), rowsOf(dy!), columnsOf(w!), rowsOf(w!)).map(round) }
}

export function linearBackwardWeight({ inputs }: Call): Record<string, Values> {
  const { dy, x, dw } = inputs
  const sum = product(flipped(dy!), plain(x!), columnsOf(dy!), columnsOf(x!), rowsOf(x!))
  return { dw: sum.map((v, i) => v + dw!.values[i]!) }
}

export function columnSum({ inputs }: Call): Record<string, Values> {
  const into = inputs.into!.values.slice()
  const n = into.length
  inputs.x!.values.forEach((v, i) => {
    into[i % n]! += v
  })
  return { into }
}

export function matmul({ inputs, attrs }: Call, round: Round): Record<string, Values> {
  const { a, b } = inputs
  const [m, k] = attrs.transA ? [columnsOf(a!), rowsOf(a!)] : [rowsOf(a!), columnsOf(a!)]
  const n = attrs.transB ? rowsOf(b!) : columnsOf(b!)
  const left = attrs.transA ? flipped(a!) : plain(a!)
  return { c: product(left, attrs.transB ? flipped(b!) : plain(b!), m, n, k).map(round) }
}
