import type { Call, Round, Values } from '../row.js'

// RMSNorm in float64. `round` stands where an unfused implementation stores a tensor.

export function rmsNorm({ inputs, attrs }: Call, round: Round): Record<string, Values> {
  const { x, w, residual } = inputs
  const width = x!.shape.at(-1)!
  const s = residual ? x!.values.map((v, i) => round(v + residual.values[i]!)) : x!.values
  const y = new Float64Array(s.length)
  const rstd = new Float64Array(width ? s.length / width : product(x!.shape.slice(0, -1)))
  for (let r = 0; r < rstd.length; r++) {
    let squares = 0
    for (let j = 0; j < width; j++) squares += s[r * width + j]! ** 2
    rstd[r] = 1 / Math.sqrt(squares / width + attrs.eps!)
    for (let j = 0; j < width; j++) y[r * width + j] = round(round(s[r * width + j]! * rstd[r]!) * w!.values[j]!)
  }
  return residual ? { y, rstd, sum: s } : { y, rstd }
}

export function rmsNormBackward({ inputs }: Call, round: Round): Record<string, Values> {
  const { dy, s, w, rstd, dw, dSum } = inputs
  const width = dy!.shape.at(-1)!
  const dx = new Float64Array(dy!.values.length)
  const weight = dw?.values.slice()
  for (let r = 0; r < rstd!.values.length; r++) {
    const inverse = rstd!.values[r]!
    let dot = 0
    for (let i = r * width; i < (r + 1) * width; i++) {
      dot += s!.values[i]! * round(dy!.values[i]! * w!.values[i - r * width]!)
    }
    for (let i = r * width; i < (r + 1) * width; i++) {
      const g = round(dy!.values[i]! * w!.values[i - r * width]!)
      const d = round(inverse * (g - (s!.values[i]! * inverse * inverse * dot) / width))
      dx[i] = dSum ? round(d + dSum.values[i]!) : d
      if (weight) weight[i - r * width]! += dy!.values[i]! * round(s!.values[i]! * inverse)
    }
  }
  return weight ? { dx, dw: weight } : { dx }
}

const product = (shape: number[]) => shape.reduce((a, b) => a * b, 1)
