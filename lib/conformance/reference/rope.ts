import type { Call, Round, Values } from '../row.js'

export function ropeTable({ inputs, attrs }: Call): Record<string, Values> {
  const { shape, values } = inputs.inverseFrequencies!
  const half = shape[1]!
  const table = new Float64Array(attrs.positions! * 2 * half)
  for (let p = 0; p < attrs.positions!; p++) {
    for (let j = 0; j < half; j++) {
      const angle = p * (values[j]! + values[half + j]!)
      table[p * 2 * half + j] = Math.cos(angle)
      table[p * 2 * half + half + j] = Math.sin(angle)
    }
  }
  return { table }
}

export function rope({ inputs, attrs }: Call, round: Round): Record<string, Values> {
  const { x, positions, table } = inputs
  const [rows, heads, width] = x!.shape as [number, number, number]
  const half = width / 2
  const sign = attrs.inverse ? -1 : 1
  const out = x!.values.slice()
  for (let t = 0; t < rows; t++) {
    for (let h = 0; h < heads; h++) {
      for (let j = 0; j < half; j++) {
        const [i, k] = [(t * heads + h) * width + j, positions!.values[t]! * width + j]
        const [a, b] = [x!.values[i]!, x!.values[i + half]!]
        const [cosine, sine] = [round(table!.values[k]!), round(sign * table!.values[k + half]!)]
        out[i] = round(round(a * cosine) - round(b * sine))
        out[i + half] = round(round(b * cosine) + round(a * sine))
      }
    }
  }
  return { x: out }
}
