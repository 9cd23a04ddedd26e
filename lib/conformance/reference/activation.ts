import type { Call, Round, Values } from '../row.js'

export function swiglu({ inputs }: Call, round: Round): Record<string, Values> {
  const { gate, up } = inputs
  return { y: gate!.values.map((g, i) => round(round(g / (1 + Math.exp(-g))) * up!.values[i]!)) }
}

export function swigluBackward({ inputs }: Call, round: Round): Record<string, Values> {
  const { dy, gate, up } = inputs
  const dGate = new Float64Array(dy!.values.length)
  const dUp = new Float64Array(dy!.values.length)
  dy!.values.forEach((d, i) => {
    const [g, u] = [gate!.values[i]!, up!.values[i]!]
    const s = 1 / (1 + Math.exp(-g))
    dGate[i] = round(round(d * u) * s * (1 + g * (1 - s)))
    dUp[i] = round(d * round(g * s))
  })
  return { dGate, dUp }
}
