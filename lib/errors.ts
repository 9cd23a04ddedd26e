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
