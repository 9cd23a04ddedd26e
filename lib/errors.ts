/** An error with a stable `code`, so that callers can tell kinds apart without reading messages. */
export interface CodedError extends Error {
  code: string
}

const constructors = { Error, TypeError, RangeError } as const

/**
 * Builds an error of the given kind. Messages read `[where] expected … got …`.
 *
 * `code` is `ERR_…`: `ERR_SHAPE`, `ERR_DTYPE`, `ERR_DISPOSED`, `ERR_CONFIG`, `ERR_FORMAT`, `ERR_IO`, `ERR_MEMORY` …
 */
export function codedError(
  kind: keyof typeof constructors,
  code: string,
  message: string,
  cause?: unknown,
): CodedError {
  const error = new constructors[kind](message, cause === undefined ? undefined : { cause })
  return Object.assign(error, { code })
}

/** Throws {@link codedError}. */
export function fail(kind: keyof typeof constructors, code: string, message: string, cause?: unknown): never {
  throw codedError(kind, code, message, cause)
}

/** A value as an error message names it: never throws, whatever the value is, and never long. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(inArray).join(', ')}${value.length > 8 ? ', …' : ''}]`
  if (typeof value === 'object') return (value.constructor as { name?: string } | undefined)?.name ?? 'an object'
  return typeof value === 'string'
    ? JSON.stringify(value.slice(0, 100))
    : `${typeof value} ${String(value).slice(0, 40)}`
}

const inArray = (x: unknown) => (typeof x === 'number' ? String(x) : Array.isArray(x) ? 'an array' : describe(x))
