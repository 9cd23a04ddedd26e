/** Thrown where CPython would raise; caught where a parse or a decoding begins. */
export class PythonError extends Error {}

export function refuse(message: string): never {
  throw new PythonError(message)
}
