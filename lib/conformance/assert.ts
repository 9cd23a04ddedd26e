import { fail } from '../errors.js'

/** Throws `ERR_CHECK` with what a check of the conformance table found. */
export function unreachable(message: string): never {
  return fail('Error', 'ERR_CHECK', message)
}

export function ok(condition: unknown, message: string): asserts condition {
  if (!condition) unreachable(message)
}

/** The two are the same value. */
export function is(actual: unknown, expected: unknown, message: string): void {
  if (!Object.is(actual, expected)) unreachable(`${message}: expected ${String(expected)}, got ${String(actual)}`)
}
