import type { Call, Values } from '../row.js'

export function sumSquares({ inputs, attrs }: Call): Record<string, Values> {
  const start = attrs.accumulate ? inputs.into!.values[0]! : 0
  return { into: Float64Array.of(inputs.x!.values.reduce((sum, x) => sum + x * x, start)) }
}

/** torch.nn.utils.clip_grad_norm_, except that a norm that is not finite gives a scale of NaN. */
export function clipScale({ inputs, attrs }: Call): Record<string, Values> {
  const norm = Math.sqrt(inputs.sumSquares!.values[0]!)
  const scale = Number.isFinite(norm) ? Math.min(1, attrs.maxNorm! / (norm + 1e-6)) : Number.NaN
  return { norm: Float64Array.of(norm), scale: Float64Array.of(scale) }
}

export function scale({ inputs }: Call): Record<string, Values> {
  return { x: inputs.x!.values.map((x) => x * inputs.by!.values[0]!) }
}

/** The algorithm of torch.optim.AdamW's documentation. */
export function adamw({ inputs, attrs }: Call, round: (x: number) => number): Record<string, Values> {
  const [param, m, v] = [inputs.param!, inputs.m!, inputs.v!].map((i) => i.values.slice()) as [Values, Values, Values]
  const compute = inputs.compute?.values.slice()
  const { lr, beta1, beta2, eps, weightDecay, step } = attrs as Record<string, number>
  const gradScale = inputs.gradScale?.values[0] ?? 1
  for (let i = 0; i < param.length && Number.isFinite(gradScale); i++) {
    const g = inputs.grad!.values[i]! * gradScale
    m[i]! += (1 - beta1!) * (g - m[i]!)
    v[i] = beta2! * v[i]! + (1 - beta2!) * g * g
    const mean = m[i]! / (1 - beta1! ** step!)
    const variance = v[i]! / (1 - beta2! ** step!)
    param[i] = param[i]! * (1 - lr! * weightDecay!) - (lr! * mean) / (Math.sqrt(variance) + eps!)
    if (compute) compute[i] = round(param[i]!)
  }
  return compute ? { param, m, v, compute } : { param, m, v }
}
