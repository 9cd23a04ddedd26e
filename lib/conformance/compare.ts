import type { Values } from './row.js'

/** The largest error against what is expected, of max(1, largest finite magnitude); non-finite values must be equal. */
export function largestError(actual: Values | undefined, expected: Values): { error: number; where: string } {
  if (actual?.length !== expected.length) {
    return { error: Number.POSITIVE_INFINITY, where: `${actual?.length} elements, expected ${expected.length}` }
  }
  let magnitude = 1
  for (const x of expected) if (Number.isFinite(x) && Math.abs(x) > magnitude) magnitude = Math.abs(x)
  let worst = { error: 0, where: '' }
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!]
    if (Object.is(a, e) || a === e) continue
    const difference = Math.abs(a - e) / magnitude
    const error = Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY
    if (error > worst.error) worst = { error, where: `element ${i} is ${a}, expected ${e}` }
  }
  return worst
}

/** Root mean square of the error over elements that are finite on both sides. */
export function rmsError(actual: Values, exact: Values): number {
  let sum = 0
  for (let i = 0; i < exact.length; i++) {
    const d = actual[i]! - exact[i]!
    if (Number.isFinite(d)) sum += d * d
  }
  return Math.sqrt(sum / Math.max(1, exact.length))
}

export function rms(values: Values): number {
  return rmsError(values, new Float64Array(values.length))
}

/** Name of the first tensor and element that differ in any bit (NaN equals NaN), or null. */
export function firstDifference(a: Record<string, Values>, b: Record<string, Values>): string | null {
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const [x, y] = [a[name], b[name]]
    if (x?.length !== y?.length) return `${name} has ${x?.length} and ${y?.length} elements`
    for (let i = 0; i < (x?.length ?? 0); i++) {
      if (!Object.is(x![i], y![i])) return `${name}[${i}] is ${x![i]} and ${y![i]}`
    }
  }
  return null
}
