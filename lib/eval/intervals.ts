/** An estimate with the two ends of its 95 % interval. */
export interface Estimate {
  value: number
  low: number
  high: number
}

const z = 1.959963984540054 // 97.5 % of the standard normal

/**
 * A share of successes with Wilson's score interval (Wilson 1927): right near 0 and 1 and for few samples, where the textbook interval
 * leaves [0, 1] or has no width. NaN over no samples.
 */
export function wilson(successes: number, samples: number): Estimate {
  if (samples === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN }
  const p = successes / samples
  const scale = 1 + z ** 2 / samples
  const centre = (p + z ** 2 / (2 * samples)) / scale
  const half = (z / scale) * Math.sqrt((p * (1 - p)) / samples + z ** 2 / (4 * samples ** 2))
  return {
    value: p,
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === samples ? 1 : Math.min(1, centre + half),
  }
}

/** A mean with Student's interval. One sample says nothing about its spread: the interval is infinite. NaN over no samples. */
export function meanEstimate(values: readonly number[]): Estimate {
  const n = values.length
  if (n === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN }
  const value = values.reduce((sum, x) => sum + x, 0) / n
  if (n === 1) return { value, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY }
  const variance = values.reduce((sum, x) => sum + (x - value) ** 2, 0) / (n - 1)
  const half = studentQuantile(n - 1) * Math.sqrt(variance / n)
  return { value, low: value - half, high: value + half }
}

// 97.5 % of Student's t with 1 to 10 degrees of freedom (any table)
const smallQuantiles = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281]

/** Above 10 degrees the Cornish-Fisher expansion is right to 1e-4 (Abramowitz and Stegun 26.7.5). */
function studentQuantile(degrees: number): number {
  const tabled = smallQuantiles[degrees - 1]
  if (tabled !== undefined) return tabled
  const g1 = (z ** 3 + z) / 4
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384
  return z + g1 / degrees + g2 / degrees ** 2 + g3 / degrees ** 3
}
