// The distribution that `sample` draws from, in float64: temperature, then topK, topP and minP, each on what the one
// before left; equal probabilities rank by lower index.

export interface Filters {
  temperature: number
  topK?: number
  topP?: number
  minP?: number
}

export function softmax(logits: ArrayLike<number>, temperature: number): Float64Array {
  const z = Float64Array.from(logits, (x) => x / (temperature === 0 ? 1 : temperature))
  const max = z.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const e = z.map((x) => Math.exp(x - max))
  const sum = e.reduce((a, b) => a + b, 0)
  return e.map((x) => x / sum)
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

export function distribution(logits: ArrayLike<number>, { temperature, topK = 0, topP = 1, minP = 0 }: Filters) {
  const p = softmax(logits, temperature)
  if (temperature === 0) return p.map((_, i) => (i === argmax(logits) ? 1 : 0))
  let ranked = [...p.keys()].sort((i, j) => p[j]! - p[i]! || i - j)
  if (topK > 0) ranked = ranked.slice(0, topK)
  if (topP < 1) {
    const whole = ranked.reduce((sum, i) => sum + p[i]!, 0)
    let sum = 0
    ranked = ranked.filter((i) => {
      const before = sum
      sum += p[i]! / whole
      return before < topP
    })
  }
  ranked = ranked.filter((i) => p[i]! >= minP * p[ranked[0]!]!)
  const kept = ranked.reduce((sum, i) => sum + p[i]!, 0)
  const result = new Float64Array(p.length)
  for (const i of ranked) result[i] = p[i]! / kept
  return result
}

/** Philox4x32-10 (Salmon et al., SC 2011): four words from a counter and a key. */
export function philox4x32(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter.map((word) => BigInt(word >>> 0)) as [bigint, bigint, bigint, bigint]
  let [k, l] = key.map((word) => BigInt(word >>> 0)) as [bigint, bigint]
  const low = 0xffffffffn
  for (let round = 0; round < 10; round++) {
    const [p, q] = [a * 0xd2511f53n, c * 0xcd9e8d57n]
    ;[a, b, c, d] = [(q >> 32n) ^ b ^ k, q & low, (p >> 32n) ^ d ^ l, p & low]
    k = (k + 0x9e3779b9n) & low
    l = (l + 0xbb67ae85n) & low
  }
  return [a, b, c, d].map(Number)
}

/** The number in [0, 1) that draws a token: 53 bits keyed by (seed, row key) and the position. */
export function uniformOf(key: ArrayLike<number>, position: number): number {
  const [high, low] = philox4x32([position, key[2]!, key[3]!, 0x73616d70], [key[0]!, key[1]!]) as [number, number]
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53
}
