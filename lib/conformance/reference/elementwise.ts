import type { Call, Round, Values } from '../row.js'

export function add({ inputs }: Call, round: Round): Record<string, Values> {
  return { y: inputs.a!.values.map((a, i) => round(a + inputs.b!.values[i]!)) }
}

const widthOf = (shape: number[]) => shape.slice(1).reduce((a, b) => a * b, 1)

export function gatherRows({ inputs }: Call): Record<string, Values> {
  const { x, rows } = inputs
  const width = widthOf(x!.shape)
  const y = new Float64Array(rows!.values.length * width)
  rows!.values.forEach((row, i) => {
    y.set(x!.values.subarray(row * width, (row + 1) * width), i * width)
  })
  return { y }
}

export function scatterRows({ inputs }: Call): Record<string, Values> {
  const { x, rows, into } = inputs
  const width = widthOf(x!.shape)
  const out = into!.values.slice()
  rows!.values.forEach((row, i) => {
    out.set(x!.values.subarray(i * width, (i + 1) * width), row * width)
  })
  return { into: out }
}
