import type { Call, Values } from '../row.js'

export function embedding({ inputs }: Call): Record<string, Values> {
  const { w, ids } = inputs
  const width = w!.shape[1]!
  const y = new Float64Array(ids!.values.length * width)
  ids!.values.forEach((id, t) => {
    y.set(w!.values.subarray(id * width, (id + 1) * width), t * width)
  })
  return { y }
}

export function embeddingBackward({ inputs }: Call): Record<string, Values> {
  const { dy, ids, dw } = inputs
  const width = dw!.shape[1]!
  const out = dw!.values.slice()
  ids!.values.forEach((id, t) => {
    for (let j = 0; j < width; j++) out[id * width + j]! += dy!.values[t * width + j]!
  })
  return { dw: out }
}
